"""Two git revisions → what a pull request means, as a comment: no checkout, no live access, nothing written.

`git` reads objects, `git_source` makes a revision look like a directory to `declared`, `difference` compares two
declared estates, `concern` and `findings` say whom it concerns and what the guardrails think, `review` puts them
together, and the rest renders that one value.
"""
