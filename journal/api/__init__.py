"""The REST API: the journal over HTTP, for programs. What rests on the explorer's read models is in `explorer.api`.

A view is a class with a method for each verb, and each says by `operation` what it needs, takes and answers: that is
checked at run time and is what the OpenAPI document is made of, so that the two cannot differ.
"""

from __future__ import annotations
