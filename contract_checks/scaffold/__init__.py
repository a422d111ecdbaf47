"""From a valid contract to the first files of its feature, which the team then owns and edits.

The files are text, written once. Nothing is generated again, and the checks read what is
registered and measured, so a definition that was started here is judged like any other.
"""
