"""`python -m apps.taxii`: the TAXII server."""

from __future__ import annotations

from apps.taxii.serve import serve

if __name__ == "__main__":
    serve()
