"""The PowerShell text that runs on Windows machines: the same protocol as ``connectors.guest_bash``.

Not verified on a live Windows machine: only its text is tested. Same markers, exit codes and JSON keys; the script
travels as base64 and runs in a PowerShell of its own, so nothing that a person typed is ever code here.
"""

from __future__ import annotations

from connectors import guest

POWERSHELL_ENVELOPE = f"""\
# Runbook Bot, guest envelope {guest.VERSION}: runs one approved script at most once, in time, and reports how it ended.
$id = '@ID@'; $notAfter = @NOT_AFTER@; $limit = @LIMIT@; $sum = '@SUM@'; $outRoom = @OUT_ROOM@; $errRoom = @ERR_ROOM@
$script = '
@SCRIPT@
'
$ErrorActionPreference = 'Stop'
$utf8 = New-Object System.Text.UTF8Encoding $false
[Console]::OutputEncoding = $utf8
$place = Join-Path $env:ProgramData 'runbook-bot'
$dir = Join-Path $place $id
$script:watch = [System.Diagnostics.Stopwatch]::StartNew()
function Get-Now {{ [DateTimeOffset]::UtcNow.ToUnixTimeSeconds() }}
function Get-Size($file) {{ if (Test-Path -LiteralPath $file) {{ (Get-Item -LiteralPath $file).Length }} else {{ 0 }} }}
function Get-Ending($file, $count) {{
  $stream = [IO.File]::Open($file, 'Open', 'Read', 'ReadWrite')
  try {{
    $count = [Math]::Min($count, $stream.Length)
    [void]$stream.Seek(-$count, 'End')
    $bytes = New-Object byte[] $count
    $got = 0
    while ($got -lt $count) {{ $got += $stream.Read($bytes, $got, $count - $got) }}
    ,$bytes
  }} finally {{ $stream.Dispose() }}
}}
function ConvertTo-Packed([byte[]]$bytes) {{
  $memory = New-Object IO.MemoryStream
  $gzip = New-Object IO.Compression.GZipStream $memory, ([IO.Compression.CompressionMode]::Compress)
  $gzip.Write($bytes, 0, $bytes.Length); $gzip.Dispose()
  [Convert]::ToBase64String($memory.ToArray())
}}
function Get-Fit($file, $room) {{
  $all = Get-Size $file; $low = 0; $high = [Math]::Min($all, {guest.TAIL_BYTES}); $middle = $high; $data = ''
  while ($high -gt 0) {{
    $try = ConvertTo-Packed (Get-Ending $file $middle)
    if ($try.Length -le $room) {{ $data = $try; $low = $middle }} else {{ $high = $middle }}
    if ($high - $low -le 48) {{ break }}
    $middle = [int][Math]::Floor(($low + $high) / 2)
  }}
  @{{ data = $data; cut = [int]($low -lt $all) }}
}}
function Write-Report($state, $code, $timeout, $keep) {{
  $outFile = Join-Path $dir 'stdout'; $errFile = Join-Path $dir 'stderr'
  $out = Get-Size $outFile; $err = Get-Size $errFile; $errLine = ''
  if ($err -gt 0) {{
    $fit = Get-Fit $errFile ($errRoom - {guest.HEADER_BYTES})
    $errLine = '{guest.MARKER} ' + $id + ' err {{"gz":1,"cut":' + $fit.cut + '}} ' + $fit.data
  }}
  $fit = Get-Fit $outFile ($outRoom - {guest.HEADER_BYTES})
  $cancelled = [int](Test-Path -LiteralPath (Join-Path $dir 'cancelled'))
  $facts = '{{"state":"' + $state + '","rc":' + $code + ',"out":' + $out + ',"err":' + $err
  $facts += ',"ms":' + [int64]$script:watch.ElapsedMilliseconds + ',"at":' + (Get-Now)
  $facts += ',"timeout":' + $timeout + ',"cancelled":' + $cancelled + ',"open":0,"capped":0'
  $facts += ',"gz":1,"cut":' + $fit.cut + '}}'
  $line = '{guest.MARKER} ' + $id + ' out ' + $facts + ' ' + $fit.data
  if ($keep) {{
    [IO.File]::WriteAllText((Join-Path $dir 'result.err'), $errLine, $utf8)
    [IO.File]::WriteAllText((Join-Path $dir 'result.new'), $line, $utf8)
    Move-Item -LiteralPath (Join-Path $dir 'result.new') -Destination (Join-Path $dir 'result')
  }}
  if ($errLine) {{ [Console]::Error.WriteLine(); [Console]::Error.WriteLine($errLine) }}
  [Console]::Out.WriteLine(); [Console]::Out.WriteLine($line)
}}

try {{
  [void][IO.Directory]::CreateDirectory($place)
}} catch {{
  $dir = $place; Write-Report '{guest.NO_STATE}' {guest.EXIT_NO_STATE} 0 $false; exit {guest.EXIT_NO_STATE}
}}
try {{
  # New-Item without -Force fails when the folder exists: that is the run-once guard.
  [void](New-Item -ItemType Directory -Path $dir)
}} catch {{
  $kept = Join-Path $dir 'result'
  if (Test-Path -LiteralPath $kept) {{
    [Console]::Error.WriteLine([IO.File]::ReadAllText((Join-Path $dir 'result.err')))
    [Console]::Out.WriteLine(); [Console]::Out.WriteLine([IO.File]::ReadAllText($kept))
  }} elseif (Test-Path -LiteralPath $dir) {{
    $dir = Join-Path $dir 'none'; Write-Report '{guest.DUPLICATE}' {guest.EXIT_DUPLICATE} 0 $false
  }} else {{
    Write-Report '{guest.NO_STATE}' {guest.EXIT_NO_STATE} 0 $false; exit {guest.EXIT_NO_STATE}
  }}
  exit {guest.EXIT_DUPLICATE}
}}
[IO.File]::WriteAllText((Join-Path $dir 'not_after'), [string]$notAfter)
if ((Get-Now) -gt $notAfter) {{ Write-Report '{guest.LATE}' {guest.EXIT_LATE} 0 $true; exit {guest.EXIT_LATE} }}

$bytes = [Convert]::FromBase64String($script.Replace("`n", '').Replace("`r", ''))
$hash = [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($bytes)).Replace('-', '')
if ($hash -ne $sum) {{ Write-Report '{guest.DAMAGED}' {guest.EXIT_DAMAGED} 0 $true; exit {guest.EXIT_DAMAGED} }}
$file = Join-Path $dir 'script.ps1'
# Windows PowerShell reads a file without a byte order mark in the system's code page.
[IO.File]::WriteAllText($file, $utf8.GetString($bytes), (New-Object System.Text.UTF8Encoding $true))

# The child runs the file and hands on its exit code; EncodedCommand leaves nothing to quote.
$inner = "[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding `$false; `$global:LASTEXITCODE = 0; "
$inner += "try {{ & '" + $file.Replace("'", "''") + "' }} catch {{ [Console]::Error.WriteLine(`$_); exit 1 }}; "
$inner += "exit `$LASTEXITCODE"
$encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($inner))
$empty = Join-Path $dir 'stdin'; [IO.File]::WriteAllText($empty, '')
$shell = (Get-Process -Id $PID).Path
$words = '-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-EncodedCommand', $encoded
$streams = @{{
  RedirectStandardInput = $empty
  RedirectStandardOutput = (Join-Path $dir 'stdout')
  RedirectStandardError = (Join-Path $dir 'stderr')
}}
$child = Start-Process -FilePath $shell -ArgumentList $words -PassThru -WindowStyle Hidden @streams
[void]$child.Handle # kept open, so that the exit code can be read afterwards
[IO.File]::WriteAllText((Join-Path $dir 'processes'), [string]$child.Id)
$timeout = 0
if (-not $child.WaitForExit($limit * 1000)) {{
  $timeout = 1
  & "$env:SystemRoot\\System32\\taskkill.exe" /T /F /PID $child.Id | Out-Null
  [void]$child.WaitForExit({guest.TERM_SECONDS * 1000})
}}
$code = if ($child.HasExited) {{ $child.ExitCode }} else {{ -1 }}
Write-Report '{guest.DONE}' $code $timeout $true
exit $code
"""
