"""Completion in bash, where click splits words at `:` and `=`."""

from __future__ import annotations

import os
from typing import Any

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

__all__ = ["ColonBashComplete"]

_BREAKS = ":="
"""Characters of COMP_WORDBREAKS that split words of ours, such as index paths and scopes."""


@add_completion_class
class ColonBashComplete(BashComplete):
    """Completes the word before the cursor as the shell will pass it, and prints what bash inserts for it."""

    source_template = r"""%(complete_func)s() {
    local IFS=$'\n'
    local completion type value
    COMPREPLY=()
    for completion in $(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_BREAKS="$COMP_WORDBREAKS" \
%(complete_var)s=bash_complete "$1" 2>/dev/null); do
        type="${completion%%%%,*}"
        value="${completion#*,}"
        if [[ $type == dir ]]; then
            compopt -o dirnames
        elif [[ $type == file ]]; then
            compopt -o default
        elif [[ $type == plain ]]; then
            COMPREPLY+=("$value")
        fi
    done
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def source(self) -> str:
        """Return the script. It works in bash 4.4 and newer, which may be another one than that of PATH."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one at the cursor, and that word up to the cursor."""
        line = os.environ.get("COMP_LINE", "")
        # In bytes, as bash counts.
        line = line.encode()[: int(os.environ.get("COMP_POINT", len(line.encode())))].decode("utf-8", "ignore")
        words = split_arg_string(line)
        is_new = not line or line[-1].isspace()
        return (words[1:], "") if is_new else (words[1:-1], words[-1] if words else "")

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return a line for the script, without the part of the word that bash keeps."""
        word = self.get_completion_args()[1]
        breaks = [each for each in _BREAKS if each in os.environ.get("COMP_BREAKS", _BREAKS)]
        kept = max((word.rfind(each) + 1 for each in breaks), default=0)
        value = str(item.value)
        return f"{item.type},{value[kept:] if value.startswith(word[:kept]) else value}"
