// What to check before a result counts as complete: docs/clients.md as code.
import { crc32 } from 'node:zlib';

/** The answer is not what the service promises; calling again in silence would hide it. */
export class IntegrityError extends Error {}

/** Count, CRC-32 and order of a scan, across all its attempts. */
export class Verifier {
  count = 0;
  crc = 0;
  receipt = null;
  #limit;
  #lastId = '';
  #resumes = 0;
  #resumedNow = false;

  constructor(request) {
    this.#limit = request.limit ?? 0;
  }

  /** Whether another call would bring nothing. */
  get complete() {
    return this.receipt !== null || (this.#limit > 0 && this.#limit === this.count);
  }

  /** Note where an attempt begins; it counts as a resume once it brings a message. */
  beginAttempt(token) {
    this.#resumedNow = token !== '';
  }

  /** Check one message and count its users. */
  add(message) {
    if (this.receipt) throw new IntegrityError('a message came after the receipt');
    if (this.#resumedNow) this.#resumes += 1;
    this.#resumedNow = false;
    const ids = message.users.map((user) => user.user_id);
    this.#checkOrder(ids, message.key_order);
    this.count += ids.length;
    this.crc = crc32(ids.join(''), this.crc);
    if (this.#limit > 0 && this.count > this.#limit) throw new IntegrityError('more users came than the limit');
  }

  #checkOrder(ids, keyOrder) {
    const bytewise = keyOrder === 'KEY_ORDER_UNSPECIFIED';
    const known = new Set([this.#lastId]);
    for (const id of ids) {
      // Ids are ASCII, so strings compare as bytes do.
      if (known.has(id) || (bytewise && id <= this.#lastId)) {
        throw new IntegrityError('a user came out of order, or twice');
      }
      known.add(id);
      this.#lastId = id;
    }
  }

  /** Compare the receipt with what came. */
  close(receipt) {
    if (receipt.user_count !== this.count || receipt.user_id_crc32 !== this.crc) {
      throw new IntegrityError("the receipt's count or CRC-32 is not that of the users received");
    }
    if (receipt.consistency !== 'CONSISTENCY_LIVE') {
      throw new IntegrityError('the receipt names another consistency than was requested');
    }
    if (receipt.resumed_count < this.#resumes) {
      throw new IntegrityError('the receipt counts fewer resumes than there were');
    }
    this.receipt = receipt;
  }

  /** Note that the stream ended OK. */
  end() {
    if (!this.receipt) throw new IntegrityError('the stream ended without its receipt: users may be missing');
  }
}
