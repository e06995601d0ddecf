"""How a stranger's source becomes a module: a file, a folder of files or a notebook, with what it imports and its age.

Nothing here knows what is done with the module; nothing runs but what importing the source runs.
"""
