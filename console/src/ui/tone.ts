/**
 * The status language: each tone is a colour and a shape of its own, so that neither colour-blind readers nor grey prints
 * lose it. ok: as it should be · busy: on its way there · warn: works, look at it · bad: broken · hold: waits for your word ·
 * pause: stopped on purpose · idle: nothing known or nothing asked.
 */
export const tones = ['ok', 'busy', 'warn', 'bad', 'hold', 'pause', 'idle'] as const;
export type Tone = (typeof tones)[number];

export const toneText: Record<Tone, string> = {
  ok: 'text-ok',
  busy: 'text-busy',
  warn: 'text-warn',
  bad: 'text-bad',
  hold: 'text-hold',
  pause: 'text-idle',
  idle: 'text-idle',
};

export const toneSoft: Record<Tone, string> = {
  ok: 'bg-ok-soft text-ok',
  busy: 'bg-busy-soft text-busy',
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
  hold: 'bg-hold-soft text-hold',
  pause: 'bg-idle-soft text-idle',
  idle: 'bg-idle-soft text-idle',
};

export const toneFill: Record<Tone, string> = {
  ok: 'bg-ok',
  busy: 'bg-busy',
  warn: 'bg-warn',
  bad: 'bg-bad',
  hold: 'bg-hold',
  pause: 'bg-idle',
  idle: 'bg-line-strong',
};
