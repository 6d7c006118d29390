"""The stacks that are compared: each starts two processes of an application and tells which processes it is."""
