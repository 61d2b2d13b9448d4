"""The Streamlit pages. They know the nouns and `rag.client`, and nothing else of the house."""
