// Calls that continue after a break, verified.
import { readFileSync } from 'node:fs';
import { type CallOptions, type Client as Stub, Code, createClient } from '@connectrpc/connect';
import { Http2SessionManager, createGrpcTransport } from '@connectrpc/connect-node';
import { Attempts, CallError, callErrorOf } from './call-again.js';
import {
  type AverageAgeResponse,
  type BatchUsersResponse,
  type StreamAverageAgeResponse,
  type StreamUsersResponse,
  type User,
  type UserFilter,
  UserService,
} from './gen/userstream/v1/user_service_pb.js';
import { IntegrityError, Verifier } from './verify.js';

type Filter = Partial<Pick<UserFilter, 'namePrefix' | 'ageOver'>>;
type Service = Stub<typeof UserService>;
type Start<Message> = (service: Service, options: CallOptions) => AsyncIterable<Message>;

export interface Limits {
  timeoutMs: number;
  messageTimeoutMs: number;
  backoffMsMax: number;
}

/** Reads users from USERSTREAM_TARGET, with USERSTREAM_TOKEN and USERSTREAM_TLS_CA where they are set. */
export class Client {
  #connection = connect();

  constructor(readonly limits: Limits) {}

  close(): void {
    this.#connection.sessions.abort();
  }

  /** Yield the users of each message of StreamUsers, resumed until all have come. */
  stream(filter: Filter, verifier: Verifier): AsyncGenerator<User[]> {
    const request = { filter, limit: verifier.limit };
    return this.#scan<StreamUsersResponse>(verifier, (resumeToken) => (service, options) =>
      service.streamUsers({ ...request, resumeToken }, options),
    );
  }

  /** Yield the users of each batch, resumed until all have come. */
  batches(filter: Filter, batchSize: number, verifier: Verifier): AsyncGenerator<User[]> {
    const request = { filter, batchSize, limit: verifier.limit };
    return this.#scan<BatchUsersResponse>(verifier, (resumeToken) => (service, options) =>
      service.batchUsers({ ...request, resumeToken }, options),
    );
  }

  async *#scan<Message extends StreamUsersResponse | BatchUsersResponse>(
    verifier: Verifier,
    startAt: (token: string) => Start<Message>,
  ): AsyncGenerator<User[]> {
    let token = '';
    const start = (): Start<Message> => {
      verifier.beginAttempt(token);
      return startAt(token);
    };
    for await (const message of this.#messages(start, () => verifier.complete)) {
      verifier.add(message);
      token = message.resumeToken || token;
      if (message.receipt) verifier.close(message.receipt);
      yield message.users;
    }
    if (!verifier.complete) verifier.end();
  }

  /** Yield pages; the next one is read from the database when it is asked for. */
  async *pages(filter: Filter, pageSize: number, verifier: Verifier): AsyncGenerator<User[]> {
    let pageToken = '';
    do {
      const request = { filter, pageSize, pageLimit: 1, pageToken };
      const pages = [];
      const start = () => (service: Service, options: CallOptions) => service.paginate(request, options);
      for await (const page of this.#messages(start)) pages.push(page);
      const [page] = pages;
      if (!page || pages.length !== 1) throw new IntegrityError('the answer is not one page');
      verifier.add(page);
      yield page.users;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Yield figures about once a second; the last ones are final and exact. */
  async *runningAverage(filter: Filter): AsyncGenerator<StreamAverageAgeResponse> {
    let [resumeToken, final] = ['', false];
    const start = () => (service: Service, options: CallOptions) =>
      service.streamAverageAge({ filter, resumeToken }, options);
    for await (const figures of this.#messages(start, () => final)) {
      ({ resumeToken, final } = figures);
      yield figures;
    }
    if (!final) throw new IntegrityError('the final figures never came');
  }

  /** Return the exact average. */
  async average(filter: Filter): Promise<AverageAgeResponse> {
    const attempts = new Attempts(this.limits);
    for (;;) {
      try {
        return await this.#connection.service.averageAge({ filter }, { timeoutMs: attempts.timeoutMs });
      } catch (error) {
        await attempts.waitAfter(callErrorOf(error));
      }
    }
  }

  /** Yield the messages of a stream, over as many attempts as it takes. */
  async *#messages<Message>(start: () => Start<Message>, done = () => false): AsyncGenerator<Message> {
    const attempts = new Attempts(this.limits);
    while (!done()) {
      const ending = new AbortController();
      const options = { signal: ending.signal, timeoutMs: attempts.timeoutMs };
      try {
        const call = start()(this.#connection.service, options);
        for await (const message of this.#received(call, ending)) {
          attempts.progressed();
          yield message;
        }
        return;
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        if (!done()) await attempts.waitAfter(error);
      } finally {
        ending.abort(); // Also when the caller leaves: this ends the call at the server.
      }
    }
  }

  /** Yield the messages of one attempt; a wait that is too long ends it. */
  async *#received<Message>(call: AsyncIterable<Message>, ending: AbortController): AsyncGenerator<Message> {
    const iterator = call[Symbol.asyncIterator]();
    let silent = false;
    for (;;) {
      const timer = setTimeout(() => {
        silent = true;
        ending.abort();
      }, this.limits.messageTimeoutMs);
      let step;
      try {
        step = await iterator.next();
      } catch (error) {
        if (!silent) throw callErrorOf(error);
        this.close(); // The library may take the silent connection for a live one.
        this.#connection = connect();
        throw new CallError(Code.DeadlineExceeded, 'no message came for too long');
      } finally {
        clearTimeout(timer);
      }
      if (step.done) return;
      yield step.value;
    }
  }
}

function connect(): { service: Service; sessions: Http2SessionManager } {
  const target = process.env.USERSTREAM_TARGET ?? '127.0.0.1:50051';
  const authority = process.env.USERSTREAM_TLS_CA;
  const token = process.env.USERSTREAM_TOKEN;
  const baseUrl = `${authority ? 'https' : 'http'}://${target}`;
  const nodeOptions = authority ? { ca: readFileSync(authority) } : {};
  const pings = { pingIntervalMs: 10_000, pingTimeoutMs: 60_000 };
  const sessions = new Http2SessionManager(baseUrl, pings, nodeOptions);
  const transport = createGrpcTransport({
    baseUrl,
    nodeOptions,
    sessionManager: sessions,
    readMaxBytes: 64 * 1024 * 1024,
    interceptors: [
      (next) => (request) => {
        if (token) request.header.set('authorization', `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  return { service: createClient(UserService, transport), sessions };
}
