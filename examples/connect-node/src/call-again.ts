// When to call again, and after how long: docs/clients.md as code.
import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from './gen/google/rpc/error_details_pb.js';

const ALWAYS = new Set([Code.Unavailable, Code.Aborted, Code.DeadlineExceeded]);
const WITHOUT_ERROR_INFO = new Set([Code.ResourceExhausted, Code.Internal, Code.Unknown, Code.Canceled]);
const ATTEMPTS_MAX = 15;
const FIRST_BACKOFF_MS = 100;

/** Why a call ended, with the details that the service gave. */
export class CallError extends Error {
  reason = '';
  retryDelayMs: number | null = null;
  fieldViolations: Record<string, string> = {};

  constructor(
    readonly code: Code,
    message: string,
  ) {
    super(message);
  }

  /** The code as gRPC spells it. */
  get codeName(): string {
    if (this.code === Code.Canceled) return 'CANCELLED';
    return Code[this.code].replace(/(?<!^)[A-Z]/g, '_$&').toUpperCase();
  }

  /** Whether another call may succeed. The text decides nothing: every library has its own. */
  get callsAgain(): boolean {
    if (ALWAYS.has(this.code)) return true;
    if (!this.reason) return WITHOUT_ERROR_INFO.has(this.code);
    return this.code === Code.ResourceExhausted && this.retryDelayMs !== null;
  }
}

/** Return what an error of Connect says, its details decoded. */
export function callErrorOf(error: unknown): CallError {
  const from = ConnectError.from(error);
  const found = new CallError(from.code, from.rawMessage);
  found.reason = from.findDetails(ErrorInfoSchema)[0]?.reason ?? '';
  const [retry] = from.findDetails(RetryInfoSchema);
  if (retry) found.retryDelayMs = Number(retry.retryDelay?.seconds ?? 0) * 1000 + (retry.retryDelay?.nanos ?? 0) / 1e6;
  const violations = from.findDetails(BadRequestSchema)[0]?.fieldViolations ?? [];
  found.fieldViolations = Object.fromEntries(violations.map((v) => [v.field, v.description]));
  return found;
}

/** The attempts of one call, and what is left of the caller's own limit. */
export class Attempts {
  readonly #deadline: number;
  readonly #backoffMsMax: number;
  #failed = 0;

  constructor({ timeoutMs, backoffMsMax }: { timeoutMs: number; backoffMsMax: number }) {
    this.#deadline = timeoutMs ? performance.now() + timeoutMs : Infinity;
    this.#backoffMsMax = backoffMsMax;
  }

  /** The limit of the next call; undefined for none. */
  get timeoutMs(): number | undefined {
    const left = this.#deadline - performance.now();
    // Whole milliseconds: Connect sends fractions as they are, and no server understands them.
    return left === Infinity ? undefined : Math.max(1, Math.ceil(left));
  }

  /** Begin a new count: a message came. */
  progressed(): void {
    this.#failed = 0;
  }

  /** Wait before the next attempt, or throw the error if there must be none. */
  async waitAfter(error: CallError): Promise<void> {
    this.#failed += 1;
    if (!error.callsAgain || this.#failed >= ATTEMPTS_MAX) throw error;
    const longest = Math.min(this.#backoffMsMax, FIRST_BACKOFF_MS * 2 ** (this.#failed - 1));
    const wait = Math.random() * longest + (error.retryDelayMs ?? 0);
    if (wait >= this.#deadline - performance.now()) {
      throw new CallError(Code.DeadlineExceeded, `the time limit is over; before: ${error.message}`);
    }
    console.error(`calling again in ${(wait / 1000).toFixed(3)} s after ${error.codeName}: ${error.message}`);
    await sleep(wait);
  }
}
