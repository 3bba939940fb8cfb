"""How ``--help`` looks, where that differs from what rich-click does."""

import rich_click as click
from rich.text import Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.markdown import Markdown
    from rich.style import StyleType


class HelpFormatter(click.RichHelpFormatter):
    """Keeps the indentation of examples, which rich-click takes away where no text is above them."""

    def rich_text(
        self, text: "str | Text | Markdown", style: "StyleType" = ""
    ) -> "Text | Markdown":
        if not isinstance(text, str) or not text.startswith("Example"):
            return super().rich_text(text, style)
        return Text(f"\n{text.rstrip()}", style)
