// The program: node users.js CALL [options of examples/README.md].
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { crc32 } from 'node:zlib';
import { CallError } from './call-again.js';
import { Client } from './client.js';
import { IntegrityError, Verifier } from './verify.js';

const text = (fallback) => ({ type: 'string', default: fallback });
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
const call = positionals[0];
const where = { name_prefix: values['name-prefix'] };
if (values['age-over'] !== '') where.age_over = Number(values['age-over']);

/** Prints users, and remembers which. */
class Printed {
  count = 0;
  crc = 0;

  /** Print the users of each message; return how that ended. */
  async allOf(groups, cancelAfter) {
    let messages = 0;
    for await (const users of groups) {
      await print(users.map((user) => `${user.user_id}\t${user.age}\n`).join(''));
      this.count += users.length;
      this.crc = crc32(users.map((user) => user.user_id).join(''), this.crc);
      messages += 1;
      if (messages === cancelAfter) return 'cancelled'; // Leaving the loop ends the call.
    }
    return 'complete';
  }
}

async function print(lines) {
  // Waits while nobody reads, so that the stream waits too.
  if (!process.stdout.write(lines)) await once(process.stdout, 'drain');
}

async function ended(run) {
  try {
    return { result: await run() };
  } catch (error) {
    if (error instanceof IntegrityError) return { result: 'integrity', message: error.message };
    if (!(error instanceof CallError)) throw error;
    const { code, reason, message, fieldViolations } = error;
    return { result: 'status', code, reason, message, field_violations: fieldViolations };
  }
}

async function readUsers(client) {
  const limit = Number(values.limit);
  const size = Number(values.size);
  const calls = {
    stream: ['streamUsers', { filter: where, limit }],
    batches: ['batchUsers', { filter: where, limit, batch_size: size }],
    pages: ['paginate', { filter: where, page_size: size }],
  };
  const [method, request] = calls[call];
  const verifier = new Verifier(request);
  const groups = call === 'pages' ? client.pages(request, verifier) : client.users(method, request, verifier);
  const printed = new Printed();
  const how = await ended(() => printed.allOf(groups, Number(values['cancel-after'])));
  const resumed = verifier.receipt?.resumed_count ?? 0;
  return { user_count: printed.count, user_id_crc32: printed.crc, resumed_count: resumed, ...how };
}

async function readAverage(client) {
  let figures = {};
  const how = await ended(async () => {
    const all = call === 'average' ? [await client.average({ filter: where })] : client.runningAverage({ filter: where });
    for await (const { user_count, age_sum, average_age } of all) {
      await print(`${user_count} users, average age ${average_age?.toFixed(2) ?? 'unknown'}\n`);
      figures = { user_count, age_sum };
    }
    return 'complete';
  });
  return how.result === 'complete' ? { ...figures, ...how } : how; // Figures that are not final are not reported.
}

const readers = {
  stream: readUsers,
  batches: readUsers,
  pages: readUsers,
  average: readAverage,
  'running-average': readAverage,
};
if (!readers[call]) {
  console.error(`usage: node users.js ${Object.keys(readers).join('|')} [options of examples/README.md]`);
  process.exit(2);
}
const client = new Client({
  timeoutMs: Number(values.timeout) * 1000,
  messageTimeoutMs: Number(values['message-timeout']) * 1000,
  backoffMsMax: Number(values['backoff-max']) * 1000,
});
const report = await readers[call](client);
client.close();
console.error(JSON.stringify(report));
process.exitCode = ['complete', 'cancelled'].includes(report.result) ? 0 : 1;
