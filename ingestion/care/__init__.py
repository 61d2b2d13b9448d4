"""What is looked for in a text before it is indexed: personal data, instructions to the model,
noise, language, copies. Everything is found in one pass each, in time linear in the text."""
