/**
 * What the score of a guess is worth: pairs of a score and the part of the guesses with this score that are right, as
 * measured on the tuning half of the labelled columns (docs/MAPPING.md), made to rise steadily. Between two pairs it is a
 * straight line. From 0.9 on scores are left as they are: they were right as often as they say, or more often.
 */
export const CALIBRATION: readonly (readonly [score: number, share: number])[] = [
  [0, 0],
  [0.2, 0.06],
  [0.35, 0.14],
  [0.45, 0.4],
  [0.62, 0.52],
  [0.7, 0.7],
  [0.85, 0.86],
  [0.9, 0.9],
  [1, 1],
]
