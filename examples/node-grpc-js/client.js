// Calls that continue after a break, verified.
import { readFileSync } from 'node:fs';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import { Attempts, CallError, callErrorOf } from './call-again.js';
import { IntegrityError } from './verify.js';

const PROTO = new URL('../../protos/userstream/v1/user_service.proto', import.meta.url).pathname;
// keepCase: the fields as the proto spells them. Whole numbers stay below 2^53.
const definition = protoLoader.loadSync(PROTO, { keepCase: true, longs: Number, enums: String, defaults: true });
const { UserService } = grpc.loadPackageDefinition(definition).userstream.v1;

const OPTIONS = {
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 60_000,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.enable_retries': 0,
};

/** Reads users from USERSTREAM_TARGET, with USERSTREAM_TOKEN and USERSTREAM_TLS_CA where they are set. */
export class Client {
  #limits;
  #messageTimeoutMs;
  #service = connect();
  #metadata = new grpc.Metadata();

  constructor({ timeoutMs = 0, messageTimeoutMs = 60_000, backoffMsMax = 5_000 } = {}) {
    this.#limits = { timeoutMs, backoffMsMax };
    this.#messageTimeoutMs = messageTimeoutMs;
    const token = process.env.USERSTREAM_TOKEN;
    if (token) this.#metadata.set('authorization', `Bearer ${token}`);
  }

  close() {
    this.#service.close();
  }

  /** Yield the users of each message of streamUsers or batchUsers, resumed until all have come. */
  async *users(method, request, verifier) {
    const begin = () => verifier.beginAttempt(request.resume_token ?? '');
    for await (const message of this.#messages(method, request, begin, () => verifier.complete)) {
      verifier.add(message);
      request.resume_token = message.resume_token || request.resume_token;
      if (message.receipt) verifier.close(message.receipt);
      yield message.users;
    }
    if (!verifier.complete) verifier.end();
  }

  /** Yield pages; the next one is read from the database when it is asked for. */
  async *pages(request, verifier) {
    request.page_limit = 1;
    do {
      const pages = [];
      for await (const page of this.#messages('paginate', request)) pages.push(page);
      if (pages.length !== 1) throw new IntegrityError('the answer is not one page');
      verifier.add(pages[0]);
      yield pages[0].users;
      request.page_token = pages[0].next_page_token;
      request.offset = 0;
    } while (request.page_token);
  }

  /** Yield figures about once a second; the last ones are final and exact. */
  async *runningAverage(request) {
    let final = false;
    for await (const figures of this.#messages('streamAverageAge', request, undefined, () => final)) {
      request.resume_token = figures.resume_token;
      final = figures.final;
      yield figures;
    }
    if (!final) throw new IntegrityError('the final figures never came');
  }

  /** Return the exact average. */
  async average(request) {
    const attempts = new Attempts(this.#limits);
    for (;;) {
      try {
        return await this.#once('averageAge', request, attempts.deadline);
      } catch (error) {
        await attempts.waitAfter(callErrorOf(error));
      }
    }
  }

  #once(method, request, deadline) {
    return new Promise((resolve, reject) => {
      const done = (error, response) => (error ? reject(error) : resolve(response));
      this.#service[method](request, this.#metadata, { deadline }, done);
    });
  }

  /** Yield the messages of a stream, over as many attempts as it takes. */
  async *#messages(method, request, begin = () => {}, done = () => false) {
    const attempts = new Attempts(this.#limits);
    while (!done()) {
      begin();
      const call = this.#service[method](request, this.#metadata, { deadline: attempts.deadline });
      try {
        for await (const message of this.#received(call)) {
          attempts.progressed();
          yield message;
        }
        return;
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        if (!done()) await attempts.waitAfter(error);
      } finally {
        call.cancel(); // Also when the caller leaves: this ends the call at the server.
      }
    }
  }

  /** Yield the messages of one attempt; a wait that is too long ends it. */
  async *#received(call) {
    const iterator = call[Symbol.asyncIterator]();
    let silent = false;
    for (;;) {
      const timer = setTimeout(() => {
        silent = true;
        call.cancel();
      }, this.#messageTimeoutMs);
      let step;
      try {
        step = await iterator.next();
      } catch (error) {
        if (!silent) throw callErrorOf(error);
        this.#service.close(); // The library may take the silent connection for a live one.
        this.#service = connect();
        throw new CallError('DEADLINE_EXCEEDED', 'no message came for too long');
      } finally {
        clearTimeout(timer);
      }
      if (step.done) return;
      yield step.value;
    }
  }
}

function connect() {
  const target = process.env.USERSTREAM_TARGET ?? '127.0.0.1:50051';
  const authority = process.env.USERSTREAM_TLS_CA;
  const credentials = authority
    ? grpc.credentials.createSsl(readFileSync(authority))
    : grpc.credentials.createInsecure();
  return new UserService(target, credentials, OPTIONS);
}
