"""The speech contract over HTTP, its receiving side, and what the page uses."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, Response

from backend.callbacks.service import MOST_BODY_BYTES
from backend.kernel.auth import Requires, Role
from backend.kernel.errors import Conflict
from backend.kernel.http import Page, app_part
from backend.speech.failures import ContractRoute, read_body
from backend.speech.limits import RequestLimit
from backend.speech.results import MlResults
from backend.speech.schemas import (
    Accepted,
    JobStatusView,
    MlReceipt,
    MlResult,
    NewSpeechJob,
    ProcessVideo,
    SpeechJobSummary,
    SpeechJobView,
)
from backend.speech.service import SpeechService
from backend.speech.transcripts import MEDIA_TYPES, TranscriptFormat, transcript
from backend.speech.uploads import Uploads

contract = APIRouter(route_class=ContractRoute, tags=["speech contract"])
router = APIRouter(prefix="/api/v1/speech", tags=["speech"])

SERVICE = Depends(Requires(Role.SERVICE))
VIEWER = Depends(Requires(Role.VIEWER))
OPERATOR = Depends(Requires(Role.OPERATOR))
Speech = Annotated[SpeechService, app_part("speech")]
Results = Annotated[MlResults, app_part("ml_results")]
PROCESS_VIDEO = "/api/upload-video/process-video"
ML_RESULTS = "/api/v1/ml/ml-results"
UPLOADS = "/api/v1/speech/uploads"
MOST_CONTRACT_BYTES = MOST_BODY_BYTES
"""What is sent must be taken, where this server is its own receiver."""


def _body_of(kind: type[ProcessVideo] | type[MlResult]) -> dict[str, object]:
    """The request's body in the API's description: it is read by hand, to fail in one shape."""
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@contract.post(PROCESS_VIDEO, dependencies=[SERVICE], openapi_extra=_body_of(ProcessVideo))
async def process_video(
    request: Request, speech: Speech, limit: Annotated[RequestLimit, app_part("speech_limit")]
) -> Accepted:
    """Take a video on: transcript, speakers, word volume and pitch are called back."""
    limit.check(request)
    return await speech.accept(await read_body(request, ProcessVideo))


@contract.post(ML_RESULTS, dependencies=[SERVICE], openapi_extra=_body_of(MlResult))
async def take_result(request: Request, results: Results) -> MlReceipt:
    """The receiving side of callbacks: progress, result, or failure of a job."""
    return await results.take(await read_body(request, MlResult))


@contract.get("/api/v1/ml/job-status/{job_id:path}", dependencies=[SERVICE])
async def read_job_status(results: Results, job_id: str) -> JobStatusView:
    """Where a job stands, as far as it was called back."""
    return await results.status(job_id)


@router.get("/jobs", dependencies=[VIEWER])
async def list_speech_jobs(
    speech: Speech,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Page[SpeechJobSummary]:
    """Speech jobs, newest first."""
    return await speech.page(cursor, limit)


@router.post("/jobs", dependencies=[OPERATOR], status_code=202)
async def add_speech_job(speech: Speech, new: NewSpeechJob) -> Accepted:
    """Transcribe the video at a URL; it is kept, to be played beside its transcript."""
    request = ProcessVideo(job_id=str(uuid4()), video_url=new.video_url)
    return await speech.accept(request, keeps_video=True)


@router.post(
    "/uploads",
    dependencies=[OPERATOR],
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def upload_video(
    request: Request,
    speech: Speech,
    uploads: Annotated[Uploads, app_part("uploads")],
    filename: Annotated[str, Query(min_length=1, max_length=255)],
) -> Accepted:
    """Transcribe a video that is sent as the body; it is written to disk as it comes."""
    video = await uploads.receive(request)
    return await speech.accept_file(video.path, filename, video.size_bytes)


@router.get("/jobs/{job_id:path}/video", dependencies=[VIEWER], response_class=FileResponse)
async def read_speech_video(speech: Speech, job_id: str) -> FileResponse:
    """The video, where it was kept; byte ranges are served."""
    path = await speech.video(job_id)
    headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type="video/mp4", headers=headers)


@router.get("/jobs/{job_id:path}/transcript.{form}", dependencies=[VIEWER], response_class=Response)
async def read_transcript(speech: Speech, job_id: str, form: TranscriptFormat) -> Response:
    """The transcript as a file."""
    job = await speech.read(job_id)
    if job.result is None:
        raise Conflict("there is no transcript yet", code="no_transcript")
    stem = job.filename.rpartition(".")[0] or job.filename
    name = quote(f"{stem}.{form}")
    return Response(
        transcript(job.result, form),
        media_type=f"{MEDIA_TYPES[form]}; charset=utf-8",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )


@router.get("/jobs/{job_id:path}", dependencies=[VIEWER])
async def read_speech_job(speech: Speech, job_id: str) -> SpeechJobView:
    """One speech job with what was heard."""
    return await speech.read(job_id)
