"""When a window shows its value besides when it is complete: early, and again for rows that come late.

Source: Flink's WindowEmitStrategy (2.x), which has it for TUMBLE and HOP of the older form only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamsql.errors import ConfigError

from .windows import WindowClock

_PREFIX = "table.exec.emit."


@dataclass(frozen=True)
class EmitStrategy:
    """Milliseconds. ``early`` and ``late``: how long after its first change a window shows its changes; 0 at once,
    None not before it is complete, or not after it. ``lateness``: how late rows may be; None where not given, which
    means ``ttl`` with late firing, and then it must not be 0.
    """

    early: int | None = None
    late: int | None = None
    lateness: int | None = None
    ttl: int = 0

    def of(self, clock: WindowClock) -> EmitStrategy:
        """What holds for windows of that clock. By processing time no row is late.

        Raises ConfigError for options that do not go together.
        """
        if clock.proctime:
            return EmitStrategy(early=self.early)
        lateness = self.ttl if self.lateness is None else self.lateness
        if self.late is None:
            if self.lateness:
                raise ConfigError(
                    f"'{_PREFIX}allow-lateness' has no effect without late firing",
                    hint=f"SET '{_PREFIX}late-fire.enabled' = 'true'",
                )
            return EmitStrategy(early=self.early)
        if lateness <= 0:
            raise ConfigError(
                f"'{_PREFIX}late-fire.enabled' needs to know how late rows may be",
                hint=f"SET '{_PREFIX}allow-lateness' = '1 min'",
            )
        if self.late > lateness:
            raise ConfigError(
                f"'{_PREFIX}late-fire.delay' ({self.late} ms) is longer than rows may be late ({lateness} ms)",
                hint=f"make the delay shorter, or '{_PREFIX}allow-lateness' longer",
            )
        return replace(self, lateness=lateness)

    @property
    def lateness_ms(self) -> int:
        """How long a window is kept after its end."""
        return self.lateness or 0

    @property
    def updates(self) -> bool:
        """Whether a window shows more than one value."""
        return self.early is not None or self.late is not None

    @property
    def at_once(self) -> bool:
        """Whether every change is shown as it happens, so that nothing needs to be held back."""
        return self.early == 0 and self.late in (None, 0)

    def text(self) -> str:
        """Flink's words for it."""
        parts = [("early", self.early), ("late", self.late)]
        return ", ".join(
            f"{name} {f'delay {ms} millisecond' if ms else 'no delay'}"
            for name, ms in parts
            if ms is not None
        )
