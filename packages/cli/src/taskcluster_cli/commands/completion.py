"""`completion`: the scripts with which shells complete the command's words."""

from __future__ import annotations

from pathlib import Path

import click

from ..app import App, pass_app
from ..command import command

__all__ = ["completion"]

_SHELLS = ("bash", "zsh", "fish", "powershell")


@command(
    examples=["taskcluster completion bash", "taskcluster completion fish"],
    epilog='bash: add `eval "$(taskcluster completion bash)"` to ~/.bashrc. zsh: the same in ~/.zshrc, after compinit. '
    "fish: `taskcluster completion fish > ~/.config/fish/completions/taskcluster.fish`.",
)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@pass_app
@click.pass_context
def completion(ctx: click.Context, app: App, shell: str, file: Path | None) -> None:
    """Print the completion script of a shell, or write it to FILE."""
    from click.shell_completion import get_completion_class

    from .. import completing as completing

    found = get_completion_class(shell)
    if found is None:
        # click before 8.5.
        raise click.UsageError(f"the installed click has no completion for {shell}: pip install -U click", ctx)
    script = found(ctx.find_root().command, {}, "taskcluster", "_TASKCLUSTER_COMPLETE").source()
    if file is None:
        app.out.line(script.rstrip("\n"))
    else:
        file.write_text(script, "utf-8")
