"""Cases of configuration as folders: what a site holds, what is asked, what must come back.

`cases/AREA/CASE/site` is the content of a site; `case.toml` beside it tells the requests. Each is looked up in the
pure plan and sent to a real nginx with an application behind it.
"""
