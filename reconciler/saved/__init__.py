"""A plan as a file: written by `plan --out`, looked at by `plan show`, carried out by `apply FILE`.

What a file says is done as it says or not at all: it is signed by the target that it was made for, bound to the live
revisions that it was made from, and good for one use.
"""
