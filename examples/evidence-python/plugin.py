"""An evidence plugin in Python: is a team at work, so that somebody is there when a change goes wrong?"""

import datetime
import pathlib

from decision_gate_plugin import Attribute, Block, Fault, Plugin, answer, failure, serve

SATURDAY = 5


class WorkingHours:
    contract = (pathlib.Path(__file__).parent / "contract.json").read_text()

    def __init__(self, config):
        self.teams = {team["name"]: range(team["from"], team["until"]) for team in config.get("team", [])}

    def query(self, query, about):
        if not isinstance(query.params, dict) or set(query.params) != {"team"}:
            raise Fault("INVALID", 'the params must be an object with the member "team"')
        team = query.params["team"]
        if not isinstance(team, str) or team not in self.teams:
            raise Fault("INVALID", "there is no such team in the configuration")
        if about.time.logical:
            return failure("logical_time", "working hours need a trigger with a date, not a logical time")
        now = datetime.datetime.fromtimestamp(about.time.unix_millis / 1000, datetime.timezone.utc)
        return answer(now.weekday() < SATURDAY and now.hour in self.teams[team], anchor=("team", team))


serve(Plugin(name="evidence-python", version="0.1.0", evidence=WorkingHours, config=[
    Block("team", repeated=True, help="A team.", body=[
        Attribute("name", required=True, help="Name of the team, which is the anchor of evidence."),
        Attribute("from", "integer", default=9, minimum=0, maximum=24, help="First hour of the day, UTC."),
        Attribute("until", "integer", default=17, minimum=0, maximum=24, help="Hour of the day at which work has ended, UTC."),
    ]),
]))
