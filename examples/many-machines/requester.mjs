import { createInbox } from 'nats'

/** Milliseconds without a word from a worker, after which it counts as lost. Workers speak four times as often. */
export const SILENCE = 1000

/**
 * Asks a queue group and keeps the request until it is answered. A worker says that it is there by empty messages until
 * it has the answer. When nothing is heard for {@link SILENCE}, be it that the worker died, that none is there yet or
 * that the network is down, the request is sent again, to whichever worker the group then chooses. So it is worked on at
 * least once, and answered once.
 */
export class Requester {
  #nats
  #subject
  #connected = true

  constructor(nats, subject) {
    this.#nats = nats
    this.#subject = subject
    this.#watchConnection()
  }

  /** The answer's bytes. */
  async request(data) {
    const inbox = createInbox()
    const messages = this.#nats.subscribe(inbox)
    const ask = () => {
      // While disconnected the client would queue every attempt and send them all later.
      if (this.#connected) this.#nats.publish(this.#subject, data, { reply: inbox })
    }
    const again = setInterval(ask, SILENCE)
    try {
      ask()
      for await (const { data } of messages) {
        if (data.length > 0) return data
        again.refresh()
      }
      throw new Error('the connection to NATS was closed')
    } finally {
      clearInterval(again)
      messages.unsubscribe()
    }
  }

  async #watchConnection() {
    for await (const { type } of this.#nats.status()) {
      if (type === 'disconnect') this.#connected = false
      if (type === 'reconnect') this.#connected = true
    }
  }
}
