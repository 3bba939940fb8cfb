"""The plugin for OpenCode, which does what hooks do elsewhere, and wakes sessions that are idle."""

PLUGIN = """
// 'claude-mailbox install opencode' writes this file, and 'uninstall opencode' removes it.
import { watch } from "node:fs"
import { basename, dirname } from "node:path"

const program = PROGRAM
const options = ["client-hook", "--client", "opencode", ...OPTIONS]
// A prompt looks like the user's own, so it is always the same and has no mail in it.
const prompt = "TEXT"

export const ClaudeMailbox = async ({ client, directory }) => {
  const sessions = new Map() // by id; subagents' sessions have no mailbox: null
  let caller // the session whose calls the daemon takes this process's calls for
  let watcher

  // Whatever fails here must not fail the session.
  // What proves which mail the model has: the marks that it was given, and its answers. A line has to
  // end with a line feed.
  const linesOf = async (id) => {
    const { data } = await client.session.messages({ path: { id } })
    const at = (time) => new Date(time).toISOString()
    const marks = (text) => (text ?? "").match(/\\[mail [^\\]\\n]*\\]/g)?.join(" ")
    return (data ?? []).slice(-50).flatMap(({ info, parts }) => {
      const isAnswer = info.role === "assistant" && info.time.completed && !info.error
      const given = parts.map(({ text, state }) => marks(info.role === "user" ? text : state?.output))
      return [
        ...(isAnswer ? [{ type: "answer", timestamp: at(info.time.completed) }] : []),
        ...given.filter(Boolean).map((text) => ({ type: "context", text })),
      ].map((line) => JSON.stringify(line) + "\\n")
    })
  }

  const run = async (moment, sessionID, prompt, source) => {
    try {
      // Without lines, mail counts as delivered when it is shown.
      const isLook = moment === "tool" || moment === "call"
      const lines = isLook ? [] : await linesOf(sessionID).catch(() => undefined)
      const child = Bun.spawn([...program, ...options, "--moment", moment], {
        stdin: new Blob([JSON.stringify({ sessionID, cwd: directory, prompt, source, lines })]),
        stdout: "pipe",
        stderr: "ignore",
      })
      return JSON.parse(await new Response(child.stdout).text())
    } catch {
      return {}
    }
  }

  const ask = async (moment, id, session, prompt, source) => {
    const { bell, additionalContext } = await run(moment, id, prompt, source)
    if (bell) {
      session.bell = bell
      watcher ??= watch(dirname(bell), (_, name) => rung(name))
    }
    return additionalContext
  }

  const begin = async (id) => {
    const { data } = await client.session.get({ path: { id } })
    const session = data?.parentID ? null : { isBusy: true, isRung: false }
    sessions.set(id, session)
    caller = session ? id : caller
    // What was shown before, by another process, may be in the conversation that goes on.
    return session ? await ask("start", id, session, undefined, "resume") : ""
  }

  const rung = (name) => {
    for (const [id, session] of sessions) {
      if (!session?.bell || basename(session.bell) !== name) continue
      session.isRung = true
      wake(id, session)
    }
  }

  const wake = (id, session) => {
    if (session.isBusy || !session.isRung) return
    session.isBusy = true
    const { agent, model, variant } = session
    const parts = [{ type: "text", text: prompt }]
    const idle = () => (session.isBusy = false)
    const body = { agent, model, variant, parts }
    client.session.promptAsync({ path: { id }, body }).then(({ error }) => error && idle(), idle)
  }

  // Mail that comes after a look is rung for again.
  const look = (moment, id, session, prompt) => {
    session.isRung = false
    return ask(moment, id, session, prompt)
  }

  return {
    "chat.message": async ({ sessionID, variant }, { message, parts }) => {
      const introduction = sessions.has(sessionID) ? "" : await begin(sessionID)
      const session = sessions.get(sessionID)
      if (!session) return
      const { agent, model } = message
      Object.assign(session, { agent, model, variant, isBusy: true })
      const written = parts.map((part) => part.text ?? "").join("\\n")
      const mail = await look("prompt", sessionID, session, written)
      const text = [introduction, mail].filter(Boolean).join("\\n\\n")
      const last = parts.at(-1)
      if (text && last) parts.push({ ...last, id: last.id + "m", type: "text", text, synthetic: true })
    },
    "tool.execute.before": async ({ tool, sessionID }) => {
      if (!tool.startsWith("mailbox_") || caller === sessionID || !sessions.get(sessionID)) return
      await run("call", sessionID)
      caller = sessionID
    },
    "tool.execute.after": async ({ sessionID }, output) => {
      const session = sessions.get(sessionID)
      const hasText = typeof output?.output === "string"
      if (!session || !(hasText || Array.isArray(output?.content))) return
      const text = await look("tool", sessionID, session)
      if (!text) return
      if (hasText) output.output += "\\n\\n" + text
      else output.content.push({ type: "text", text })
    },
    "shell.env": async ({ sessionID }, { env }) => {
      if (sessions.get(sessionID)) env.CLAUDE_MAILBOX_SESSION = sessionID
    },
    event: async ({ event }) => {
      const id = event.properties?.sessionID ?? event.properties?.info?.id
      const session = sessions.get(id)
      if (!session) return
      if (event.type === "session.idle") {
        session.isBusy = false
        wake(id, session)
        if (!session.isBusy) await run("stop", id)
      } else if (event.type === "session.deleted") {
        sessions.delete(id)
        await run("end", id)
      }
    },
    dispose: async () => {
      watcher?.close()
      const ids = [...sessions].filter(([, session]) => session).map(([id]) => id)
      await Promise.all(ids.map((id) => run("end", id)))
    },
  }
}
"""
