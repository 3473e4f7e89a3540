"""What text in fields means: numbers, times, words for what is missing; and what names of columns say."""
