// Log lines as JSON on standard error, which the host forwards with their level.

const levels = { debug: 0, info: 1, warn: 2, error: 3 } as const;

const lowest = levels[(process.env.DECISION_GATE_LOG_LEVEL ?? "info").toLowerCase() as keyof typeof levels] ?? levels.info;

function write(level: keyof typeof levels, message: string, more: Record<string, unknown> = {}): void {
  if (levels[level] < lowest) return;
  const line = { ...more, "@timestamp": new Date().toISOString(), "@level": level, "@message": message, "@module": "plugin" };
  process.stderr.write(JSON.stringify(line) + "\n");
}

/** The plugin's log. */
export const log = {
  debug: (message: string, more?: Record<string, unknown>) => write("debug", message, more),
  info: (message: string, more?: Record<string, unknown>) => write("info", message, more),
  warn: (message: string, more?: Record<string, unknown>) => write("warn", message, more),
  error: (message: string, more?: Record<string, unknown>) => write("error", message, more),
};
