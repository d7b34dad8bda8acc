"""Documents made from the running definitions, and the schemas of what is released; `conecta docs` writes them."""

from deploy.documents.command import docs

__all__ = ["docs"]
