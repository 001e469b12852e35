"""Putting windows together: one text-only question, or in code where no model can.

One analysed window is the whole already, and costs no question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backend.analysis.scene.vlm.answers import MergeAnswer, WindowAnswer, read_merge
from backend.analysis.scene.vlm.asking import Memory, Outcome, ask, fingerprint
from backend.analysis.scene.vlm.merge import WindowIncident, in_order, merge_by_model, merge_in_code
from backend.analysis.scene.vlm.model import BudgetSpent, ModelError, ModelRefused, VisionModel
from backend.analysis.scene.vlm.prompt import SceneFacts, Told, merge_question
from backend.analysis.scene.vlm.report import Merged, MergedBy
from backend.analysis.scene.vlm.windows import Window

_NAME = "merge"


async def put_together(
    told: Sequence[Told],
    facts: SceneFacts,
    *,
    model: VisionModel,
    memory: Memory,
    asks: int,
    max_output_tokens: int,
    say: Callable[[str], None],
) -> tuple[Merged, Outcome[MergeAnswer] | None]:
    """What the windows amount to, and what came of asking about it, if that was asked.

    Raises:
        ModelBusy, ModelMisconfigured: what the question took until then is saved.
    """
    answered = [(one.window, one.answer) for one in told if one.answer is not None]
    incidents = tuple(
        WindowIncident(number, one.window.index, incident)
        for one in told
        for number, incident in one.incidents
    )
    if not answered:
        said = "Nothing moved in the archive, so the model was shown nothing."
        return Merged(MergedBy.NONE, "nothing moved", (), said, None), None
    if len(answered) == 1:
        only = answered[0][1]
        found = in_order([one.incident for one in incidents])
        reason = "one window was analysed"
        return Merged(MergedBy.NONE, reason, found, only.summary, only.safety_score), None
    outcome = await _asked(
        told,
        facts,
        incidents,
        model=model,
        memory=memory,
        asks=asks,
        max_output_tokens=max_output_tokens,
        say=lambda: say(f"merging {len(answered)} windows"),
    )
    if (answer := outcome.answer) is not None:
        found = merge_by_model(answer, incidents)
        return Merged(MergedBy.MODEL, None, found, answer.summary, answer.safety_score), outcome
    merged = Merged(
        MergedBy.CODE,
        outcome.reason,
        merge_in_code(incidents),
        _summaries(answered),
        min(one.safety_score for _, one in answered),
    )
    return merged, outcome


async def _asked(
    told: Sequence[Told],
    facts: SceneFacts,
    incidents: Sequence[WindowIncident],
    *,
    model: VisionModel,
    memory: Memory,
    asks: int,
    max_output_tokens: int,
    say: Callable[[], None],
) -> Outcome[MergeAnswer]:
    question = merge_question(told, facts, max_output_tokens=max_output_tokens)
    mark = fingerprint(question.instructions, question.text, dict(question.schema))
    start = memory.recall(_NAME, mark, Outcome[MergeAnswer])
    if start is not None and start.settled:
        return start
    say()
    start = start or Outcome[MergeAnswer](fingerprint=mark, settled=False)
    taken = [start]
    try:
        outcome = await ask(
            model,
            question,
            lambda text: read_merge(
                text,
                known={one.id: one.incident for one in incidents},
                categories=facts.categories,
            ),
            start,
            asks=asks,
            so_far=taken.append,
        )
    except (ModelRefused, BudgetSpent) as error:
        # The windows are paid for and analysed: what they found is not to wait for this.
        refused = {"settled": True, "code": error.code, "reason": error.message}
        outcome = taken[-1].model_copy(update=refused)
    except ModelError:
        memory.note(_NAME, taken[-1])
        await memory.flush()
        raise
    memory.note(_NAME, outcome)
    await memory.flush()
    return outcome


def _summaries(answered: Sequence[tuple[Window, WindowAnswer]]) -> str:
    return "\n".join(
        f"{_clock(window.t_start)}-{_clock(window.t_end)}: {answer.summary}"
        for window, answer in answered
    )


def _clock(t: float) -> str:
    minutes, seconds = divmod(round(t), 60)
    return f"{minutes}:{seconds:02d}"
