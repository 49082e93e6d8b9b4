"""How large the house is: a report in the output of the gate, not a limit.

In: the package's sources. Out: a table on standard output: files and lines by folder, questions about
variant classes, hand-set formatting, modules that only one neighbour imports, the longest functions.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "wfst_hmm"
#: classes of which one is a variant of another: who asks which one it has will have to ask again
VARIANTS = ("Graph", "CompactGraph", "AcousticModel", "ContextModel", "FeatureOptions", "SphinxOptions",
            "MixtureSet", "CodebookSet")  # fmt: skip
ASKS = re.compile(rf"isinstance\([^)]*\b({'|'.join(VARIANTS)})\b")
N_LONGEST = 12


def module_name(path: Path) -> str:
    """Return the dotted name under which a file is imported."""
    return ".".join(("wfst_hmm", *path.relative_to(PACKAGE).with_suffix("").parts))


def imported(tree: ast.AST) -> set[str]:
    """Return the dotted names that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def code_and_comments(text: str, tree: ast.Module) -> tuple[int, int]:
    """Return the lines of code and the lines that hold a comment; docstrings are neither."""
    prose: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            prose |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = [line.strip() for i, line in enumerate(text.splitlines(), 1) if i not in prose]
    comments = [line for line in lines if re.search(r"(^|\s\s)#(?! ?(fmt|noqa|type):)", line)]
    return len([line for line in lines if line and not line.startswith("#")]), len(comments)


def main() -> None:
    """Print the report."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    files: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for path, text in texts.items():
        parts = path.relative_to(PACKAGE).parts
        room = parts[0] + "/" if len(parts) > 1 else "(top)"
        files[room] += 1
        lines[room] += text.count("\n")
    print(f"{'folder':12}{'files':>7}{'lines':>8}")
    for room, n in lines.most_common():
        print(f"{room:12}{files[room]:7}{n:8,}")
    print(f"{'all':12}{sum(files.values()):7}{sum(lines.values()):8,}")

    asks = {path: len(ASKS.findall(text)) for path, text in texts.items()}
    print(
        f"isinstance on variant classes: {sum(asks.values())} in {sum(n > 0 for n in asks.values())} files"
    )
    print(
        f"formatting by hand (fmt: skip): {sum(text.count('# fmt: skip') for text in texts.values())}"
    )

    users: dict[str, set[Path]] = {module_name(path): set() for path in texts}
    for path, tree in trees.items():
        for name in imported(tree) & users.keys():
            users[name].add(path)
    lonely = [
        name for path in texts
        if path.stem != "__init__" and (name := module_name(path)) and len(users[name]) == 1
        and next(iter(users[name])).parent == path.parent
    ]  # fmt: skip
    print(f"modules that one neighbour alone imports: {len(lonely)}")

    code = comments = 0
    for path in texts:
        if path.parent.name == "search":
            more = code_and_comments(texts[path], trees[path])
            code, comments = code + more[0], comments + more[1]
    print(
        f"search/: {code:,} lines of code, {comments} with comments (1 : {code / max(comments, 1):.0f})"
    )

    functions = [
        ((node.end_lineno or 0) - node.lineno + 1, f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}")
        for path, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    ]  # fmt: skip
    print("longest functions:")
    for length, name in sorted(functions, reverse=True)[:N_LONGEST]:
        print(f"{length:6} {name}")


if __name__ == "__main__":
    main()
