// An evidence plugin in TypeScript: is a team at work, so that somebody is there when a change goes wrong?

import { answer, failure, Fault, serve, type About, type Query, type Settings } from "decision-gate-plugin";

import contract from "./contract.json";

type Hours = { from: number; until: number };

class WorkingHours {
  readonly contract = contract;
  private readonly teams = new Map<string, Hours>();

  constructor(settings: Settings) {
    for (const team of settings.team ?? []) this.teams.set(team.name, team);
  }

  query(query: Query, about: About) {
    const { team, ...more } = Object(query.params);
    if (typeof team !== "string" || Object.keys(more).length > 0) throw new Fault("INVALID", 'the params must be an object with the member "team"');
    const hours = this.teams.get(team);
    if (!hours) throw new Fault("INVALID", "there is no such team in the configuration");
    if (about.time.unixMillis === undefined) return failure("logical_time", "working hours need a trigger with a date, not a logical time");
    const now = new Date(about.time.unixMillis);
    const atWork = now.getUTCDay() % 6 !== 0 && now.getUTCHours() >= hours.from && now.getUTCHours() < hours.until;
    return answer(atWork, "verified", { anchor: { type: "team", value: team } });
  }
}

serve({
  name: "evidence-typescript", version: "0.1.0", evidence: (settings) => new WorkingHours(settings), config: [
    { name: "team", repeated: true, help: "A team.", body: [
      { name: "name", required: true, help: "Name of the team, which is the anchor of evidence." },
      { name: "from", type: "integer", default: 9, minimum: 0, maximum: 24, help: "First hour of the day, UTC." },
      { name: "until", type: "integer", default: 17, minimum: 0, maximum: 24, help: "Hour of the day at which work has ended, UTC." },
    ] },
  ],
});
