"""What web.config may hold, one module a section: its table of elements and attributes, and its reader.

The tables say of every element and attribute whether it is honoured here; the documentation is made from them.
"""
