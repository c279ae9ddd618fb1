// k6's side of the benches. URL and USERS say where to and how many; where RECORDS names a file, its records are
// posted once each (a SharedArray, shared iterations), else one record with a new key each time, until it is ended.
import exec from "k6/execution";
import http from "k6/http";
import { SharedArray } from "k6/data";

const file = __ENV.RECORDS;
const records = file ? new SharedArray("records", () => JSON.parse(open(file))) : null;
const users = Number(__ENV.USERS);
const scenario = file
  ? { executor: "shared-iterations", vus: users, iterations: records.length, maxDuration: "1h" }
  : { executor: "constant-vus", vus: users, duration: "1h" };
export const options = { discardResponseBodies: true, scenarios: { bench: scenario } };

export default function () {
  const at = exec.scenario.iterationInTest;
  const record = records
    ? records[at]
    : { name: "Ana Maria Nunez", msg: `a message of about fifty letters, as in the data, ${at}` };
  const headers = { "Content-Type": "application/json", "Idempotency-Key": `20261122-172228-375a-${at}` };
  http.post(__ENV.URL, JSON.stringify(record), { headers });
}
