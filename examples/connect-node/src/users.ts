// The program: node dist/users.js CALL [options of examples/README.md].
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { crc32 } from 'node:zlib';
import { CallError } from './call-again.js';
import { Client } from './client.js';
import type { User } from './gen/userstream/v1/user_service_pb.js';
import { IntegrityError, Verifier } from './verify.js';

const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'name-prefix': text(''),
    'age-over': text(''),
    limit: text('0'),
    size: text('0'),
    timeout: text('0'),
    'message-timeout': text('60'),
    'backoff-max': text('5'),
    'cancel-after': text('0'),
  },
});
const call = positionals[0] ?? '';
const ageOver = values['age-over'] === '' ? {} : { ageOver: BigInt(values['age-over']) };
const filter = { namePrefix: values['name-prefix'], ...ageOver };
const client = new Client({
  timeoutMs: Number(values.timeout) * 1000,
  messageTimeoutMs: Number(values['message-timeout']) * 1000,
  backoffMsMax: Number(values['backoff-max']) * 1000,
});

type Report = Record<string, unknown> & { result: string };

/** Prints users, and remembers which. */
class Printed {
  count = 0;
  crc = 0;

  /** Print the users of each message; return how that ended. */
  async allOf(groups: AsyncGenerator<User[]>, cancelAfter: number): Promise<string> {
    let messages = 0;
    for await (const users of groups) {
      await print(users.map((user) => `${user.userId}\t${user.age}\n`).join(''));
      this.count += users.length;
      this.crc = crc32(users.map((user) => user.userId).join(''), this.crc);
      messages += 1;
      if (messages === cancelAfter) return 'cancelled'; // Leaving the loop ends the call.
    }
    return 'complete';
  }
}

async function print(lines: string): Promise<void> {
  // Waits while nobody reads, so that the stream waits too.
  if (!process.stdout.write(lines)) await once(process.stdout, 'drain');
}

async function ended(run: () => Promise<string>): Promise<Report> {
  try {
    return { result: await run() };
  } catch (error) {
    if (error instanceof IntegrityError) return { result: 'integrity', message: error.message };
    if (!(error instanceof CallError)) throw error;
    const { codeName, reason, message, fieldViolations } = error;
    return { result: 'status', code: codeName, reason, message, field_violations: fieldViolations };
  }
}

async function readUsers(groupsOf: (verifier: Verifier) => AsyncGenerator<User[]>): Promise<Report> {
  const verifier = new Verifier(BigInt(values.limit));
  const printed = new Printed();
  const how = await ended(() => printed.allOf(groupsOf(verifier), Number(values['cancel-after'])));
  const resumed = verifier.receipt?.resumedCount ?? 0;
  return { user_count: printed.count, user_id_crc32: printed.crc, resumed_count: resumed, ...how };
}

async function readAverage(running: boolean): Promise<Report> {
  let figures = {};
  const how = await ended(async () => {
    const all = running ? client.runningAverage(filter) : [await client.average(filter)];
    for await (const { userCount, ageSum, averageAge } of all) {
      await print(`${userCount} users, average age ${averageAge?.toFixed(2) ?? 'unknown'}\n`);
      figures = { user_count: Number(userCount), age_sum: Number(ageSum) };
    }
    return 'complete';
  });
  return how.result === 'complete' ? { ...figures, ...how } : how; // Figures that are not final are not reported.
}

const size = Number(values.size);
const readers: Record<string, () => Promise<Report>> = {
  stream: () => readUsers((verifier) => client.stream(filter, verifier)),
  batches: () => readUsers((verifier) => client.batches(filter, size, verifier)),
  pages: () => readUsers((verifier) => client.pages(filter, size, verifier)),
  average: () => readAverage(false),
  'running-average': () => readAverage(true),
};
const read = readers[call];
if (!read) {
  console.error(`usage: node dist/users.js ${Object.keys(readers).join('|')} [options of examples/README.md]`);
  process.exit(2);
}
const report = await read();
client.close();
console.error(JSON.stringify(report));
process.exitCode = ['complete', 'cancelled'].includes(report.result) ? 0 : 1;
