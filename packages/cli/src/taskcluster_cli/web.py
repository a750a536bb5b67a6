"""Open pages of a deployment."""

from __future__ import annotations

from .app import App

__all__ = ["show_page"]


def show_page(app: App, path: str, address: str | None = None) -> None:
    """Open a page in a browser if there is one, and print its address."""
    from .signing_in import has_browser, open_browser

    page = f"{app.deployment(address).root_url}/{path}"
    app.out.document(page, lambda: app.out.line(page))
    if app.out.is_terminal and has_browser(app.environ):
        open_browser(page)
