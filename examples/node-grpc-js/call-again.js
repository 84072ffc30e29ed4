// When to call again, and after how long: docs/clients.md as code.
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const ALWAYS = new Set(['UNAVAILABLE', 'ABORTED', 'DEADLINE_EXCEEDED']);
const WITHOUT_ERROR_INFO = new Set(['RESOURCE_EXHAUSTED', 'INTERNAL', 'UNKNOWN', 'CANCELLED']);
const ATTEMPTS_MAX = 15;
const FIRST_BACKOFF_MS = 100;

const details = await protobuf.load(new URL('error_details.proto', import.meta.url).pathname);
const typeOf = (name) => details.lookupType(`google.rpc.${name}`);

/** Why a call ended, with the details that the service gave. */
export class CallError extends Error {
  constructor(code, message, { reason = '', retryDelayMs = null, fieldViolations = {} } = {}) {
    super(message);
    Object.assign(this, { code, reason, retryDelayMs, fieldViolations });
  }

  /** Whether another call may succeed. The text decides nothing: every library has its own. */
  get callsAgain() {
    if (ALWAYS.has(this.code)) return true;
    if (!this.reason) return WITHOUT_ERROR_INFO.has(this.code);
    return this.code === 'RESOURCE_EXHAUSTED' && this.retryDelayMs !== null;
  }
}

/** Return what an error of grpc-js says, its details decoded. */
export function callErrorOf(error) {
  const [packed] = error.metadata?.get('grpc-status-details-bin') ?? [];
  return new CallError(status[error.code] ?? 'UNKNOWN', error.details ?? error.message, decoded(packed));
}

function decoded(packed) {
  try {
    return packed ? detailsOf(packed) : {};
  } catch {
    return {}; // Damaged details are none.
  }
}

function detailsOf(packed) {
  const found = {};
  for (const { type_url: url, value } of typeOf('Status').decode(packed).details) {
    const name = url.slice(url.lastIndexOf('/') + 1);
    if (name === 'google.rpc.ErrorInfo') found.reason = typeOf('ErrorInfo').decode(value).reason;
    if (name === 'google.rpc.RetryInfo') found.retryDelayMs = milliseconds(typeOf('RetryInfo').decode(value).retryDelay);
    if (name === 'google.rpc.BadRequest') {
      const violations = typeOf('BadRequest').decode(value).fieldViolations;
      found.fieldViolations = Object.fromEntries(violations.map((v) => [v.field, v.description]));
    }
  }
  return found;
}

function milliseconds(duration) {
  return Number(duration?.seconds ?? 0) * 1000 + (duration?.nanos ?? 0) / 1e6;
}

/** The attempts of one call, and what is left of the caller's own limit. */
export class Attempts {
  #deadline;
  #backoffMsMax;
  #failed = 0;

  constructor({ timeoutMs, backoffMsMax }) {
    this.#deadline = timeoutMs ? performance.now() + timeoutMs : null;
    this.#backoffMsMax = backoffMsMax;
  }

  /** The deadline of the next call; undefined for none. */
  get deadline() {
    return this.#deadline === null ? undefined : Date.now() + this.#remainingMs();
  }

  /** Begin a new count: a message came. */
  progressed() {
    this.#failed = 0;
  }

  /** Wait before the next attempt, or throw the error if there must be none. */
  async waitAfter(error) {
    this.#failed += 1;
    if (!error.callsAgain || this.#failed >= ATTEMPTS_MAX) throw error;
    const longest = Math.min(this.#backoffMsMax, FIRST_BACKOFF_MS * 2 ** (this.#failed - 1));
    const wait = Math.random() * longest + (error.retryDelayMs ?? 0);
    if (wait >= this.#remainingMs()) {
      throw new CallError('DEADLINE_EXCEEDED', `the time limit is over; before: ${error.message}`);
    }
    console.error(`calling again in ${(wait / 1000).toFixed(3)} s after ${error.code}: ${error.message}`);
    await sleep(wait);
  }

  #remainingMs() {
    return this.#deadline === null ? Infinity : Math.max(0, this.#deadline - performance.now());
  }
}
