print("printed while importing")
raise RuntimeError("the site's own mistake")
