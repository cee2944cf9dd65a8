import { type Message, MessageType } from '../raft/index.ts';
import type { GroupHost } from './group-host.ts';
import type { Membership } from './membership.ts';

/** What a group sends to its other members. */
export class OutgoingMessages<Group> {
  readonly #host: GroupHost<Group>;
  readonly #group: Group;
  readonly #membership: Membership;
  /** Messages without entries, by member, until there are entries or {@link release}. */
  #held: Map<number, Message> | undefined;

  constructor(host: GroupHost<Group>, group: Group, membership: Membership) {
    this.#host = host;
    this.#group = group;
    this.#membership = membership;
  }

  send(message: Message): void {
    const { type, to, entries } = message;
    if (type === MessageType.MsgSnap) {
      this.#host.sendSnapshot(this.#group, message);
      return;
    }
    if (type === MessageType.MsgApp) {
      if (entries.length === 0) {
        this.#hold(message);
        return;
      }
      // It says what the one that was held back says, and more.
      this.#held?.delete(to);
    }
    this.#host.send(this.#group, to, this.#membership.addressee(message), false, message);
  }

  /** Soon there may be entries that the commit index can travel with: under load that saves half of all messages. */
  #hold(message: Message): void {
    this.#held ??= new Map();
    if (this.#held.size === 0) this.#host.hold(this.#group);
    this.#held.set(message.to, message);
  }

  /** Sends what was held back. */
  release(): void {
    if (this.#held === undefined) return;
    for (const [to, message] of this.#held) {
      this.#host.send(this.#group, to, this.#membership.epochOf(to), false, message);
    }
    this.#held.clear();
  }
}
