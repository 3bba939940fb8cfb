"""The plugin for Amp, which does what hooks do elsewhere, and wakes threads that are idle."""

PLUGIN = """
// 'claude-mailbox install amp' writes this file, and 'uninstall amp' removes it.
import { spawn } from "node:child_process"
import { watch } from "node:fs"
import { basename, dirname } from "node:path"

const [program, ...before] = PROGRAM
const options = [...before, "client-hook", "--client", "amp", ...OPTIONS]
// It looks like the user's own message, so it is always the same and has no mail in it.
const wakeUp = "TEXT"

// Whatever fails here must not fail the thread.
const run = (moment, thread, prompt) =>
  new Promise((resolve) => {
    const child = spawn(program, [...options, "--moment", moment], {
      stdio: ["pipe", "pipe", "ignore"],
    })
    let said = ""
    child.stdout.on("data", (piece) => (said += piece))
    child.on("error", () => resolve({}))
    child.on("close", () => {
      try {
        resolve(JSON.parse(said))
      } catch {
        resolve({})
      }
    })
    child.stdin.on("error", () => {})
    child.stdin.end(JSON.stringify({ thread, cwd: process.cwd(), prompt }))
  })

export default function (amp) {
  const threads = new Map() // by id
  let watcher

  const ask = async (moment, id, prompt) => {
    const thread = threads.get(id)
    thread.isRung = false // mail that comes after this look is rung for again
    const { bell, additionalContext } = await run(moment, id, prompt)
    if (bell) {
      thread.bell = basename(bell)
      watcher ??= watch(dirname(bell), (_, name) => rung(name)).on("error", () => {})
    }
    return additionalContext
  }

  const rung = (name) => {
    for (const thread of threads.values()) {
      if (thread.bell !== name) continue
      thread.isRung = true
      wake(thread)
    }
  }

  const wake = async (thread) => {
    if (thread.isBusy || !thread.isRung) return
    thread.isBusy = true
    try {
      await thread.handle.append([{ type: "user-message", content: wakeUp }])
    } catch {
      thread.isBusy = false
    }
  }

  amp.on("agent.start", async (event, ctx) => {
    const id = event.thread.id
    const isNew = !threads.has(id)
    if (isNew) threads.set(id, {})
    Object.assign(threads.get(id), { isBusy: true, handle: ctx.thread })
    const introduction = isNew ? await ask("start", id) : ""
    const mail = await ask("prompt", id, event.message)
    const content = [introduction, mail].filter(Boolean).join("\\n\\n")
    return content ? { message: { content } } : undefined
  })

  amp.on("tool.result", async (event) => {
    const id = event.thread?.id
    if (!threads.has(id) || event.status !== "done" || typeof event.output !== "string") return
    const text = await ask("tool", id)
    return text ? { status: "done", output: event.output + "\\n\\n" + text } : undefined
  })

  amp.on("agent.end", async (event) => {
    const thread = threads.get(event.thread.id)
    if (!thread) return
    await run("stop", event.thread.id)
    thread.isBusy = false
    setTimeout(() => wake(thread), 0) // when this turn is over
  })

  amp.onDispose?.(async () => {
    watcher?.close()
    await Promise.all([...threads.keys()].map((id) => run("end", id)))
  })
}
"""
