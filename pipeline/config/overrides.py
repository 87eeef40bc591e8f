"""From what a user types to Hydra's override grammar.

Keys are checked here against the schema, so that a wrong one is named with its nearest right one;
a field's short name (``score_threshold``) becomes its full path; and free text such as a folder with
spaces, commas or brackets is quoted, which Hydra's grammar would otherwise read as syntax.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from pipeline.config.fields import Field, fields_of, find, is_section
from pipeline.config.groups import Group, groups_of, nearest
from pipeline.errors import UserError

FUNCTION = re.compile(
    r"(choice|range|interval|glob|sort|shuffle|tag|extend_list|str|int|float|bool|json_str)\("
)


QUOTES = frozenset("'\"")


class Overrides:
    """The overrides that one command understands.

    Args:
        schema: the dataclass of the command's configuration.
        config_name: its file in ``conf/``, without ``.yaml``.
        sweep: commas separate the values of a sweep (``-m``) and are not part of a value.
    """

    def __init__(self, schema: type, config_name: str, sweep: bool = False) -> None:
        self.schema = schema
        self.sweep = sweep
        self.groups = groups_of(config_name)
        self.fields = fields_of(schema)

    def read(self, arguments: Sequence[str]) -> list[str]:
        """Each argument as Hydra understands it.

        Raises:
            UserError: an argument is no override, or names an unknown field, group or option.
        """
        return [self._parsable(argument, self._read(argument)) for argument in arguments]

    def _read(self, argument: str) -> str:
        if argument.startswith("~"):
            self._full_path(argument[1:].partition("=")[0], "")
            return argument
        plus, dashes, key, equals, text = re.fullmatch(  # type: ignore[union-attr]  # matches anything
            r"(\+{0,2})(-{0,2})([^=]*)(=?)(.*)", argument, re.DOTALL
        ).groups()
        key = key.replace("-", "_") if dashes else key
        if not equals and not (dashes and any(field.type is bool for field in self._named(key))):
            raise UserError(self._not_an_override(argument))
        text = text if equals else "true"
        if group := self.groups.get(key):
            return f"{key}={self._options(group, text)}"
        path = self._full_path(key, text)
        field = find(self.schema, path)
        below_mapping = all(
            path != each.path and not each.path.startswith(f"{path}.") for each in self.fields
        )
        mapping = field is not None and isinstance(field.default, Mapping)  # Hydra must add names to it
        return f"{'++' if below_mapping or mapping else plus}{path}={self._quoted(field, text)}"

    def _named(self, key: str) -> list[Field]:
        """The fields that a full or short name may mean."""
        if exact := find(self.schema, key):
            return [exact]
        fields = [field for field in self.fields if field.path.endswith(f".{key}") and "<" not in field.path]
        return [field for field in fields if field.metadata.get("short")] or fields

    def _full_path(self, key: str, text: str) -> str:
        if (
            find(self.schema, key)
            or is_section(self.schema, key)
            or key in (*self.groups, "hydra.searchpath")
        ):
            return key
        named = self._named(key)
        if len(named) == 1:
            return named[0].path
        if named:
            which = "\n".join(f"  {field.path}={text}  {field.allowed} ({field.help})" for field in named)
            raise UserError(f"{key}={text}: several fields have this name; allowed: one of\n{which}")
        raise UserError(f"{key}={text}: {self.unknown(key)}")

    def unknown(self, key: str) -> str:
        """'unknown field', and the nearest known ones."""
        known = [field.path for field in self.fields] + list(self.groups)
        last = [field.name for field in self.fields]
        guess = nearest(key, known) or nearest(key.split(".")[-1], last)
        return f"unknown field{guess or '; allowed: the fields that --help lists'}"

    def _not_an_override(self, argument: str) -> str:
        named = self._named(argument.lstrip("-").replace("-", "_"))
        if named or argument in self.groups:
            return f"{argument}: no value given; allowed: {named[0].path if named else argument}=VALUE"
        if argument.startswith("-"):
            return f"{argument}: unknown option; allowed: the options that --help lists"
        example = next((field.path for field in self.fields if field.metadata.get("path")), "field")
        return f"{argument}: not understood; allowed: field=value, such as {example}={argument}; see --help"

    def _options(self, group: Group, text: str) -> str:
        """Check the options of a group; several, to be merged, may be written without brackets."""
        if self.sweep and ("[" in text or FUNCTION.match(text)):
            return text
        names = [name.strip() for name in text.strip("[]").split(",")]
        unknown = [name for name in names if name not in group.options]
        one = not group.several and not self.sweep
        if unknown or (len(names) > 1 and one):
            count = "one of " if one else "one or several of "
            hint = (
                nearest(unknown[0], list(group.options))
                if unknown
                else "; to try one after the other, add -m"
            )
            raise UserError(
                f"{group.name}={','.join(unknown) or text}; allowed: {count}{', '.join(group.options)}{hint}"
            )
        return ",".join(names) if self.sweep or not group.several else f"[{','.join(names)}]"

    def _quoted(self, field: Field | None, text: str) -> str:
        if field is None or text[:1] in ("'", '"') or "${" in text or text == "null":
            return text
        if self.sweep and ("," in text or FUNCTION.match(text)):
            return text
        if field.is_list and text[:1] != "[":
            text = f"[{text}]"
        bare = text[-1:] == "]" and not QUOTES & set(text)
        if field.is_list and field.item is str and "=" in text and bare:
            return f"[{','.join(map(_as_text, _items(text[1:-1])))}]"
        if field.is_list:
            return text
        if field.item is str and (field.type is str or text[:1] not in "[{"):
            return QuotedString(text=text, quote=Quote.single).with_quotes()
        return text

    def _parsable(self, argument: str, override: str) -> str:
        try:
            OverridesParser.create().parse_override(override)
        except HydraException as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{argument}: not understood ({reason}); allowed: field=value, see --help"
            ) from error
        return override


def _items(text: str) -> list[str]:
    """The parts between commas that lie in no brackets: values that are overrides may hold lists."""
    items, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth:
            items.append("")
        else:
            items[-1] += letter
    return [item.strip() for item in items if item.strip()]


def _as_text(item: str) -> str:
    return QuotedString(text=item, quote=Quote.single).with_quotes()
