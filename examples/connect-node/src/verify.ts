// What to check before a result counts as complete: docs/clients.md as code.
import { crc32 } from 'node:zlib';
import { Consistency, KeyOrder, type StreamReceipt, type User } from './gen/userstream/v1/user_service_pb.js';

/** The answer is not what the service promises; calling again in silence would hide it. */
export class IntegrityError extends Error {}

/** Count, CRC-32 and order of a scan, across all its attempts. */
export class Verifier {
  count = 0n;
  crc = 0;
  receipt: StreamReceipt | null = null;
  #lastId = '';
  #resumes = 0;
  #resumedNow = false;

  constructor(readonly limit = 0n) {}

  /** Whether another call would bring nothing. */
  get complete(): boolean {
    return this.receipt !== null || (this.limit > 0n && this.limit === this.count);
  }

  /** Note where an attempt begins; it counts as a resume once it brings a message. */
  beginAttempt(token: string): void {
    this.#resumedNow = token !== '';
  }

  /** Check one message and count its users. */
  add({ users, keyOrder }: { users: User[]; keyOrder: KeyOrder }): void {
    if (this.receipt) throw new IntegrityError('a message came after the receipt');
    if (this.#resumedNow) this.#resumes += 1;
    this.#resumedNow = false;
    this.#checkOrder(users, keyOrder);
    this.count += BigInt(users.length);
    this.crc = crc32(users.map((user) => user.userId).join(''), this.crc);
    if (this.limit > 0n && this.count > this.limit) throw new IntegrityError('more users came than the limit');
  }

  #checkOrder(users: User[], keyOrder: KeyOrder): void {
    const bytewise = keyOrder === KeyOrder.UNSPECIFIED;
    const known = new Set([this.#lastId]);
    for (const { userId } of users) {
      // Ids are ASCII, so strings compare as bytes do.
      if (known.has(userId) || (bytewise && userId <= this.#lastId)) {
        throw new IntegrityError('a user came out of order, or twice');
      }
      known.add(userId);
      this.#lastId = userId;
    }
  }

  /** Compare the receipt with what came. */
  close(receipt: StreamReceipt): void {
    if (receipt.userCount !== this.count || receipt.userIdCrc32 !== this.crc) {
      throw new IntegrityError("the receipt's count or CRC-32 is not that of the users received");
    }
    if (receipt.consistency !== Consistency.LIVE) {
      throw new IntegrityError('the receipt names another consistency than was requested');
    }
    if (receipt.resumedCount < this.#resumes) {
      throw new IntegrityError('the receipt counts fewer resumes than there were');
    }
    this.receipt = receipt;
  }

  /** Note that the stream ended OK. */
  end(): void {
    if (!this.receipt) throw new IntegrityError('the stream ended without its receipt: users may be missing');
  }
}
