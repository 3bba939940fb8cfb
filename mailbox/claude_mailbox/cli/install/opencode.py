"""The plugin for OpenCode, which runs our command at the moments at which others run hooks."""

PLUGIN_MARK = "// claude-mailbox: mail between agent sessions."
PLUGIN = (
    PLUGIN_MARK
    + """
// 'claude-mailbox install opencode' writes this file, and 'uninstall opencode' removes it.
const program = PROGRAM

export const ClaudeMailbox = async ({ directory }) => {
  const run = async (moment, sessionID) => {
    const child = Bun.spawn([...program, "client-hook", "--client", "opencode", "--moment", moment], {
      stdin: new Blob([JSON.stringify({ sessionID, cwd: directory })]),
      stdout: "pipe",
      stderr: "ignore",
    })
    const text = await new Response(child.stdout).text()
    try {
      return JSON.parse(text).additionalContext
    } catch {
      return undefined
    }
  }
  return {
    "chat.message": async (input, output) => {
      const text = await run("prompt", input.sessionID)
      if (text) {
        const { messageID, sessionID } = output.parts[0] ?? { sessionID: input.sessionID }
        const id = "prt_" + Date.now().toString(16) + "mailbox"
        output.parts.push({ id, messageID, sessionID, type: "text", text, synthetic: true })
      }
    },
    "tool.execute.after": async (input, output) => {
      const text = await run("tool", input.sessionID)
      if (text && typeof output.output === "string") output.output += "\\n\\n" + text
    },
    event: async ({ event }) => {
      if (event.type === "session.idle") await run("stop", event.properties.sessionID)
      if (event.type === "session.deleted") await run("end", event.properties.info.id)
    },
  }
}
"""
)
