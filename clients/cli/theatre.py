"""Plays the story of `dmp demo` on its stage, and reads in the log what was decided."""

import time

from sqlalchemy import Engine

from authz.policies import default_folder
from clients.cli.point import Point
from clients.cli.recorded import Sentences, decision, sentences
from clients.cli.scenes.lines import Line
from clients.cli.show import Language
from clients.cli.stage import Stage
from clients.cli.story import SCENES
from clients.cli.tell import Outcome, Voice


class Theatre:
    """Plays the story: the record is asked, and the log is read to see what was decided."""

    def __init__(self, point: Point, stage: Stage, log: Engine, language: Language) -> None:
        self._point = point
        self._stage = stage
        self._log = log
        self._language = language
        self._sentences: Sentences = sentences(default_folder())

    def play(self, voice: Voice, pause_s: float) -> list[Outcome]:
        """Plays all scenes, and tells them as they go."""
        outcomes: list[Outcome] = []
        for number, scene in enumerate(SCENES, 1):
            voice.scene(number, scene)
            if scene.together:
                outcomes += map(self._outcome, scene.lines)
                voice.table(outcomes[-len(scene.lines) :])
                time.sleep(pause_s)
                continue
            for line in scene.lines:
                outcomes.append(self._outcome(line))
                voice.line(outcomes[-1])
                time.sleep(pause_s)
        return outcomes

    def _outcome(self, line: Line) -> Outcome:
        played = self._stage.play(line.deed)
        decided = decision(self._log, played.decision, self._sentences)
        explained = None
        if line.explained is not None:
            explained = self._point.explain(line.explained, self._language)
        return Outcome(line=line, decision=decided, played=played, explained=explained)
