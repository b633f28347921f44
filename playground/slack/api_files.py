"""`files.*`: the three-step upload and what can be learnt of a file.

Sharing happens after the answer, as with Slack: the reply carries no shares and no message timestamp, so that
nobody comes to rely on them.
"""

from typing import Any

from playground.slack.api import ApiError, Call, Method
from playground.slack.blocks import Json
from playground.slack.model import BOT_USER_ID, Channel, File
from playground.slack.state import World

FILE_BYTES_MAX = 1_000_000_000


def get_upload_url(call: Call) -> Json:
    name = str(call.need("filename"))
    length = str(call.need("length"))
    if not length.isdigit() or int(length) < 1:
        raise ApiError("invalid_arguments", response_metadata={"messages": ["[ERROR] length must be positive"]})
    if int(length) > FILE_BYTES_MAX:
        raise ApiError("file_upload_size_restricted")
    file = File(id=call.world.new_id("F"), name=name, length=int(length), created=int(call.world.clock.now()))
    host = call.base_url.removesuffix("/api/")
    file.url = f"{host}/files/{file.id}/{name}"
    call.world.files[file.id] = file
    return {"upload_url": f"{host}/upload/v1/{file.id}", "file_id": file.id}


def complete_upload(call: Call) -> Json:
    wanted = call.need("files")
    files = [_uploaded(call.world, each) for each in wanted] if isinstance(wanted, list) else []
    if not files:
        raise ApiError("invalid_arguments", response_metadata={"messages": ["[ERROR] files must be a list"]})
    channel = _target(call)
    for file, each in zip(files, wanted, strict=True):
        file.title = str(each.get("title") or file.name)
        file.completed = True
    if channel:
        _share(call, channel, files)
    return {"files": [{"id": file.id, "title": file.title} for file in files]}


def _uploaded(world: World, wanted: Any) -> File:
    file = world.files.get(str(wanted.get("id"))) if isinstance(wanted, dict) else None
    if file is None or file.content is None or file.completed:
        raise ApiError("file_not_found")
    return file


def _target(call: Call) -> Channel | None:
    wanted = call.args.get("channel_id") or call.args.get("channels")
    if not wanted:
        return None
    if "," in str(wanted) and call.args.get("thread_ts"):
        raise ApiError("channels_limit_exceeded")
    channel = call.world.channels.get(str(wanted))
    if channel is None or not call.sees(channel):
        raise ApiError("channel_not_found")
    if not call.is_member(channel):
        raise ApiError("not_in_channel")
    if channel.is_archived:
        raise ApiError("posting_to_channel_denied")
    return channel


def _share(call: Call, channel: Channel, files: list[File]) -> None:
    thread_ts = call.args.get("thread_ts")
    parent = channel.find(str(thread_ts)) if thread_ts else None
    for file in files:
        file.channel_id = channel.id
        file.thread_ts = parent.ts if parent else None
    comment = str(call.args.get("initial_comment") or "")
    call.world.post(channel, user=BOT_USER_ID, text=comment, files=files, thread_ts=parent and parent.ts)


def info(call: Call) -> Json:
    file = call.world.files.get(str(call.need("file")))
    if file is None or not file.completed:
        raise ApiError("file_not_found")
    shares: Json = {"public": {file.channel_id: []}} if file.channel_id else {}
    return {"file": file.as_json() | {"shares": shares}, "comments": [], "content": file.text()}


METHODS = {
    "files.getUploadURLExternal": Method(handler=get_upload_url, scopes=("files:write",), tier=4),
    "files.completeUploadExternal": Method(handler=complete_upload, scopes=("files:write",), tier=4),
    "files.info": Method(handler=info, scopes=("files:read",), tier=4),
}
