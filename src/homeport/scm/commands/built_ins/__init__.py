"""The commands that the console runs itself, as cmd.exe does; `table.BUILT_IN_TABLE` names them all.

Each is a function `(console, tail, streams) -> exit code` run in a thread, where `tail` is the text behind the name
with its quotes. A `CommandFailure` or an `OSError` becomes the message that cmd prints.
"""
