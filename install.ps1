<#
.SYNOPSIS
Installs claude-mailbox for this user: with uv, pipx or pip, whichever is there, then autostart, then a check.

.DESCRIPTION
It asks nothing, needs no administrator, and can be run again to update.
CLAUDE_MAILBOX_SOURCE installs from elsewhere, such as a folder or a wheel.

.PARAMETER DryRun
Only show the commands.

.PARAMETER NoAutostart
Start the daemon now, but not at each logon.
#>
param(
    [switch] $DryRun,
    [switch] $NoAutostart
)

$ErrorActionPreference = 'Stop'
$source = if ($env:CLAUDE_MAILBOX_SOURCE) { $env:CLAUDE_MAILBOX_SOURCE } else { 'claude-mailbox' }
$mailboxHome = if ($env:CLAUDE_MAILBOX_HOME) {
    $env:CLAUDE_MAILBOX_HOME -replace '^~(?=$|[\\/])', $HOME
} else {
    Join-Path $HOME '.claude-mailbox'
}

function Test-Program([string] $Name) {
    [bool] (Get-Command $Name -CommandType Application -ErrorAction SilentlyContinue)
}

# Runs a command, or only shows it; returns whether it succeeded.
function Invoke-Step([string] $Program, [string[]] $Arguments) {
    Write-Host "+ $Program $($Arguments -join ' ')"
    if ($DryRun) { return $true }
    & $Program @Arguments | Out-Host
    return $LASTEXITCODE -eq 0
}

function Assert-Step([string] $Program, [string[]] $Arguments) {
    if (-not (Invoke-Step $Program $Arguments)) { throw "'$Program' failed: see above." }
}

function Find-Python {
    foreach ($name in 'python', 'python3', 'py') {
        if (Test-Program $name) {
            & $name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>$null
            if ($LASTEXITCODE -eq 0) { return $name }
        }
    }
    throw 'No uv, no pipx and no Python 3.11 or newer is on the PATH: install one of them first.'
}

if (Test-Program 'uv') {
    Assert-Step 'uv' @('tool', 'install', '--force', '--upgrade', $source)
    $folder = uv tool dir --bin
} elseif (Test-Program 'pipx') {
    Assert-Step 'pipx' @('install', '--force', $source)
    $folder = pipx environment --value PIPX_BIN_DIR
} else {
    $python = Find-Python
    $venv = Join-Path $mailboxHome 'venv'
    $scripts = if ($env:OS -eq 'Windows_NT') { 'Scripts' } else { 'bin' }
    $folder = Join-Path $venv $scripts
    Assert-Step $python @('-m', 'venv', $venv)
    Assert-Step (Join-Path $folder 'python') @('-m', 'pip', 'install', '--quiet', '--upgrade', $source)
}

$command = Join-Path $folder 'claude-mailbox'
$isStarted = (-not $NoAutostart) -and (Invoke-Step $command @('install-autostart'))
if (-not $isStarted) { Assert-Step $command @('start') }
if (-not (Invoke-Step $command @('doctor'))) {
    Write-Warning 'Some checks failed: each line above says what to do.'
}
if (($env:PATH -split [IO.Path]::PathSeparator) -notcontains $folder) {
    Write-Host "Add the folder of the command to your PATH: $folder"
}
