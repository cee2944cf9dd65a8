'use client';

import { Select } from './field.tsx';

/** Narrows a list to one value of a field; the first choice narrows nothing. */
export function FilterSelect({
  label,
  any,
  options,
  value,
  onChange,
}: {
  readonly label: string;
  /** The first choice, such as "Every phase". */
  readonly any: string;
  readonly options: readonly (readonly [value: string, word: string])[];
  readonly value: string;
  readonly onChange: (value: string) => void;
}) {
  return (
    <Select aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">{any}</option>
      {options.map(([each, word]) => (
        <option key={each} value={each}>
          {word}
        </option>
      ))}
    </Select>
  );
}
