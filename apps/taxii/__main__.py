"""`python -m apps.taxii`: the TAXII server."""

from __future__ import annotations

import sys

from apps.taxii.serve import serve
from intel.errors import LapsewatchError

if __name__ == "__main__":
    try:
        serve()
    except LapsewatchError as error:
        sys.exit(str(error))
