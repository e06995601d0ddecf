"""Rows of the table that only code written for a course has, and the torch expressions that they equal.

What any library may have stands in the room above.
"""
