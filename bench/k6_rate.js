// k6's side of bench/pace.py: RATE requests a second for SECONDS, in the open model.
import exec from "k6/execution";
import http from "k6/http";

const rate = Number(__ENV.RATE);
export const options = {
  discardResponseBodies: true,
  scenarios: {
    bench: {
      executor: "constant-arrival-rate",
      rate,
      timeUnit: "1s",
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: Math.max(8, Math.round(rate / 25)),
    },
  },
};

export default function () {
  const at = exec.scenario.iterationInTest;
  const headers = { "Content-Type": "application/json", "Idempotency-Key": `20261122-172228-375a-${at}` };
  http.post(__ENV.URL, JSON.stringify({ name: "Ana Maria Nunez", msg: `message ${at}` }), { headers });
}
