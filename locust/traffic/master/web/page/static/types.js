// The types of the master's answers, for readers and for tsc; docs/traffic-page.md says more.

/** @typedef {"records" | "pending" | "leased" | "delivered" | "rejected" | "in_doubt" | "unsent"} Count */

/** @typedef {Record<Count | "attempts" | "resent" | "maybe_resent", number>} Counts */

/**
 * How a run is shown everywhere: a few words, a colour, and a sentence.
 * @typedef {{text: string, level: Level, sentence: string}} Verdict
 */

/**
 * @typedef {object} Worker
 * @property {string} id
 * @property {string} state ready, spawning, running, cleanup, stopped, missing, gone
 * @property {number} slice records dealt to it at the start
 * @property {number} moved taken from other workers, or (below 0) given to them
 * @property {number} leased
 * @property {number} delivered
 * @property {number} rejected
 * @property {number} in_doubt
 * @property {string} trouble why it gets nothing done, or what it lacks; empty if neither
 */

/**
 * A column of the table of workers: a member of each worker, and how it is written.
 * @typedef {{name: string, heading: string, kind: "text" | "count" | "change"}} Column
 */

/**
 * @typedef {object} Status
 * @property {string | null} run null before the first
 * @property {string} state ready, reading, running, paused, stopping, completed, stopped, failed
 * @property {string} reason
 * @property {boolean} [paused_by_person] whether it waits for a person
 * @property {Verdict} verdict
 * @property {{file: string, records: number | null, digest: string | null, offset?: number, chosen?: number}} dataset
 * @property {string} [order]
 * @property {number | null} seed
 * @property {string} [policy]
 * @property {Counts} counts
 * @property {Worker[]} workers
 * @property {number} rate records a second
 * @property {number | null} eta_s
 * @property {Timings | null} [timings] null before the first attempt
 * @property {string | null} started ISO 8601
 * @property {string | null} ended
 * @property {number} [seconds] how long it took, once it has ended
 * @property {{at: string, settled: number, host?: string}[]} resumed
 * @property {Target | null} [target]
 * @property {number | null} [users]
 * @property {number | null} [spawn_rate]
 * @property {CheckResult[] | null} [checks]
 * @property {Results | null} [results] null: the run keeps none
 * @property {Pace | null} [pace] null: as fast as the users send
 * @property {ApiWaits | null} [api_waits] null: the API has not asked the run to wait, or to send slower
 */

/** @typedef {Record<"mean" | "min" | "p50" | "p90" | "p95" | "p99" | "p999" | "max", number>} Percentiles in seconds */

/** @typedef {{attempts: number, response: Percentiles, service: Percentiles}} Timing */

/**
 * How long attempts took: `response` from when a record was due, `service` from when it was sent.
 * @typedef {Timing & {
 *   requests: (Timing & {name: string, method: string})[],
 *   statuses: (Timing & {status: number})[],
 *   errors: {error: string, attempts: number}[],
 * }} Timings
 */

/** @typedef {{p50: number | null, p99: number | null, max: number | null}} Times in seconds; null before the first */

/**
 * @typedef {object} Pace
 * @property {string} profile the present rate, as a person wrote it
 * @property {string} arrivals
 * @property {number | null} rate records sent a second; null if that is not known
 * @property {Times & {over_10ms: number}} late
 * @property {Times} service from when a record is sent to its answer
 * @property {{p99: number | null, max: number | null, needed: number | null}} users_busy
 * @property {boolean} short_of_users
 */

/**
 * @typedef {object} ApiWaits
 * @property {number} times
 * @property {number} s
 * @property {number} answers
 * @property {{answers: number, share: number, rate: number} | null} slowed
 */

/** @typedef {{host: string, path: string, method: string}} Target */

/**
 * Two runs beside each other; times in seconds.
 * @typedef {object} Comparison
 * @property {{run: string, started: string, verdict: Verdict}[]} runs
 * @property {{name: string, kind: string, before: number | null, after: number | null}[]} figures
 * @property {{why_not: string, same: number | null, changes: OutcomeChange[]}} outcomes
 */

/** @typedef {{before: string, after: string, records: number, examples: number[]}} OutcomeChange */

/** @typedef {{which: string, rows: number, lost: number, file: string}} Results rows of attempts, one each */

/** @typedef {{check: string, value: number | null, passed: boolean}} CheckResult value null: not measured */

/**
 * @typedef {object} InterruptedRun a run that was stopped before its end
 * @property {string} run
 * @property {string} state stopped, failed
 * @property {string | null} ended
 * @property {string} file
 * @property {Record<"records" | "settled" | "delivered" | "rejected" | "in_doubt" | "left", number>} counts
 * @property {Target} target
 * @property {number} users
 * @property {number} spawn_rate
 */

/** @typedef {"info" | "good" | "warning" | "bad"} Level */

/** @typedef {{n: number, at: string, kind: string, level: Level, text: string}} LoggedEvent */

/**
 * @typedef {object} LiveAnswer
 * @property {Status} status
 * @property {Column[]} worker_columns
 * @property {{file: string, done: number, of: number | null} | null} reading
 * @property {boolean} live whether the run is running, paused or stopping
 * @property {boolean} ended whether the run has its report
 * @property {boolean} ending whether the run is stopping, or its report is being made
 * @property {Record<"start" | "pause" | "go_on" | "rate" | "stop", string>} acts why an act is not possible; empty if it is
 * @property {{next: number, rows: LoggedEvent[]}} events
 * @property {{run: string | null, generation: number, next: number, columns: string[], rows: number[][]}} timeline
 * @property {number} dead_letters
 */

/**
 * @typedef {object} PastRun
 * @property {string} run
 * @property {string} state
 * @property {string} reason
 * @property {Verdict} verdict
 * @property {string} policy
 * @property {Counts | null} counts
 * @property {string | null} started
 * @property {string | null} ended
 * @property {number} [seconds]
 * @property {Results | null} [results]
 * @property {boolean} live whether it is the present run, and has not ended
 * @property {boolean} resumable
 * @property {Target | null} [target] where it went; null if that is no longer known
 * @property {number | null} [users]
 * @property {number | null} [spawn_rate]
 * @property {number | null} [resendable] how many of its dead letters can be sent again
 */

/**
 * @typedef {object} Field an option in the form of a start
 * @property {string} name
 * @property {string} label
 * @property {string} value
 * @property {string} help
 * @property {string[] | null} choices
 * @property {boolean} many whether each line of the value is one
 */

/** @typedef {{host: string | null, users: number, spawn_rate: number, fields: Field[]}} StartOptions */

/**
 * @typedef {object} TrafficFile
 * @property {string} name
 * @property {string} path
 * @property {boolean} uploaded
 * @property {number} bytes
 * @property {number | null} [records] null if that is not known without reading
 */

/**
 * @typedef {object} FilePreview what a start would send
 * @property {string} format
 * @property {number} records
 * @property {string} digest
 * @property {string} modified
 * @property {string[]} warnings
 * @property {[string, string][]} types
 * @property {FirstRequest} request
 */

/**
 * @typedef {object} FirstRequest the first record as its whole request
 * @property {string} method
 * @property {string} url
 * @property {[string, string][]} headers
 * @property {string | null} header_file whose headers come on top
 * @property {string | null} body null if it is no text
 * @property {number} bytes
 */

/**
 * @typedef {object} Letter
 * @property {number} index
 * @property {string} outcome
 * @property {number} attempts
 * @property {number | null} status
 * @property {string | null} reason
 * @property {string | null} worker
 * @property {string} key
 * @property {string} [trace] the trace that its requests belong to, if the run has them traced
 * @property {string | null} record
 * @property {Answer | null} [answer] what the API said; an earlier release did not keep it
 * @property {string} [group] the id of its group
 */

/**
 * @typedef {object} Answer the beginning of what the API answered
 * @property {string} content_type
 * @property {Record<string, string>} fields
 * @property {string} [text]
 * @property {string} [base64] if it is no text
 * @property {number} bytes of the whole answer
 */

/**
 * @typedef {object} LetterGroup dead letters that ended alike
 * @property {string} group its id
 * @property {string} outcome
 * @property {number} status
 * @property {string} says
 * @property {number} count
 * @property {number} example the index of one of its records
 */

/**
 * @typedef {object} FoundLetters
 * @property {string} run
 * @property {number} total
 * @property {number} matched
 * @property {Letter[]} letters
 * @property {LetterGroup[]} groups
 * @property {{groups: number, count: number}} others
 * @property {number} answers_not_kept
 */

export {};
