"""The journal's rules as plain Python: no Django, no I/O, no clock."""
