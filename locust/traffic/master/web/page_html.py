"""The page's HTML, with the one script in it that must not be missing: it loads the page again if another part is.

A browser that drops its requests, for example because the network changed, drops all that are under way at once, so a
file of its own would be gone with the others. The policy of the page's answers allows no other script in its HTML.
"""

import base64
import hashlib
from pathlib import Path

PAGE = Path(__file__).parent / "page"
_SCRIPT = (PAGE / "static/reload.js").read_text(encoding="utf-8")
_PLACE = '<script src="./traffic/static/reload.js"></script>'

HTML = (PAGE / "index.html").read_text(encoding="utf-8").replace(_PLACE, f"<script>{_SCRIPT}</script>")
_DIGEST = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
# The source expression of that script (https://www.w3.org/TR/CSP3/#grammardef-hash-source).
SCRIPT_SOURCE = f"'sha256-{_DIGEST}'"
